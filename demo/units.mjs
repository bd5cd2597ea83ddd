import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { Unit } from './unit.mjs';
import { show, status } from './unit-text.mjs';

const done = (out = '') => ({ code: 0, out, err: '' });
const failed = (err, code = 1) => ({ code, out: '', err });

/**
 * A tiny service manager: unit files in a folder, their processes as its children, timers, a journal in memory, and the
 * answers of systemctl, systemd-run, journalctl and logger to what a deploy asks. It stands in for systemd because the
 * demo has to run without root; everything else on the target is the real thing.
 */
export class Units {
  #folder;
  #env;
  #units = new Map();
  #timers = new Map();
  #commands = new Set();
  #journal = [];

  constructor(folder, env) {
    this.#folder = folder;
    this.#env = env;
  }

  /** Carries out one command line. @returns {Promise<{code: number, out: string, err: string}>} */
  async run(program, args) {
    switch (program) {
      case 'systemctl':
        return this.#systemctl(args);
      case 'systemd-run':
        return this.#systemdRun(args);
      case 'journalctl':
        return this.#journalctl(args);
      case 'logger':
        this.#write({ from: args[1], text: args.slice(2).join(' ') });
        return done();
      default:
        return failed(`${program} is not known here`, 127);
    }
  }

  /** Ends everything that was started. */
  async end() {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    for (const command of this.#commands) kill(command);
    await Promise.all(
      [...this.#units.values()].map((unit) => {
        setTimeout(() => unit.signal('SIGKILL'), 1000).unref();
        return unit.stop();
      }),
    );
  }

  unit(name) {
    const file = join(this.#folder, name);
    if (!this.#units.has(name) && existsSync(file)) {
      this.#units.set(name, new Unit(name, file, this.#env, (entry) => this.#write(entry)));
    }
    return this.#units.get(name);
  }

  #write(entry) {
    this.#journal.push({ time: new Date(), ...entry });
  }

  async #systemctl(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        version: { type: 'boolean' },
        property: { type: 'string', short: 'p' },
        value: { type: 'boolean' },
        signal: { type: 'string', short: 's' },
        'kill-who': { type: 'string' },
        'no-pager': { type: 'boolean' },
        lines: { type: 'string', short: 'n' },
      },
    });
    if (values.version) return done('systemd 252 (a stand-in, part of the demo)');
    const [verb, name] = positionals;
    if (verb === 'daemon-reload') {
      for (const unit of this.#units.values()) unit.reload();
      return done();
    }
    if (name?.endsWith('.timer')) return this.#timer(verb, name);
    const unit = this.unit(name);
    if (verb === 'show') return done(show(name, unit, values));
    if (!unit) return failed(`Unit ${name} could not be found.`, verb === 'status' ? 4 : 5);
    switch (verb) {
      case 'restart':
        await unit.stop();
        return (await unit.start()) ? done() : failed(`Job for ${name} failed.`);
      case 'start':
        return (await unit.start()) ? done() : failed(`Job for ${name} failed.`);
      case 'stop':
        await unit.stop();
        return done();
      case 'reset-failed':
        unit.resetFailed();
        return done();
      case 'kill':
        unit.signal(`SIG${values.signal ?? 'TERM'}`, values['kill-who'] === 'main');
        return done();
      case 'reload':
        return failed(`Failed to reload ${name}: Job type reload is not applicable for unit ${name}.`);
      case 'status':
        return { ...done(status(unit)), code: unit.active === 'active' ? 0 : 3 };
      default:
        return failed(`Unknown command verb ${verb}.`);
    }
  }

  #timer(verb, name) {
    if (!this.#timers.has(name)) return failed(`Failed to ${verb} ${name}: Unit ${name} not loaded.`, 5);
    if (verb !== 'stop') return failed(`Unknown command verb ${verb} for a timer.`);
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
    return done();
  }

  /** `--on-active=SECONDS ... --unit=NAME command`: a timer that really fires. */
  #systemdRun(args) {
    const first = args.findIndex((arg) => !arg.startsWith('--'));
    const option = (name) =>
      args
        .slice(0, first)
        .find((arg) => arg.startsWith(`--${name}=`))
        ?.split(/=(.*)/s)[1];
    const name = `${option('unit')}.timer`;
    if (this.#timers.has(name)) return failed(`Failed to start transient timer unit: Unit ${name} already exists.`);
    const fire = () => {
      this.#timers.delete(name);
      const command = spawn(args[first], args.slice(first + 1), {
        cwd: '/',
        env: this.#env,
        stdio: ['ignore', 'pipe', 'inherit'],
        detached: true,
      });
      createInterface({ input: command.stdout }).on('line', (text) => this.#write({ from: option('unit'), text }));
      this.#commands.add(command);
      command.once('exit', () => this.#commands.delete(command)).on('error', () => {});
    };
    this.#timers.set(name, setTimeout(fire, Number(option('on-active')) * 1000));
    return done();
  }

  /** `-n LINES _SYSTEMD_INVOCATION_ID=id + INVOCATION_ID=id ...` */
  #journalctl(args) {
    const lines = Number(args[args.indexOf('-n') + 1]);
    const wanted = args.flatMap((arg) => /^(?:_SYSTEMD_)?INVOCATION_ID=(.*)$/.exec(arg)?.[1] ?? []);
    const found = this.#journal.filter(({ invocation }) => wanted.includes(invocation)).slice(-lines);
    return done(
      found.map(({ time, from, text }) => `${time.toISOString().slice(0, 19)}+0000 target ${from}: ${text}`).join('\n'),
    );
  }
}

/** Ends a command with everything in its process group. */
export function kill({ pid }) {
  try {
    if (pid) process.kill(-pid, 'SIGKILL');
  } catch {
    // It has just ended by itself.
  }
}
