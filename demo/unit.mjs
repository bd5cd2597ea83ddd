import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import { createInterface } from 'node:readline';

/** Signals that systemd counts as a clean end (systemd.service(5), SuccessExitStatus=). */
const cleanSignals = ['SIGHUP', 'SIGINT', 'SIGTERM', 'SIGPIPE'];

/** One service unit over a real child process, with the ways of systemd.service(5) that a deploy can meet. */
export class Unit {
  active = 'inactive';
  sub = 'dead';
  result = 'success';
  restarts = 0;
  pid = 0;
  invocation = '';
  exitStatus = 0;
  since = '';
  #child;
  #ended = Promise.resolve();
  #stopping = false;
  #restart;
  #starts = [];

  constructor(name, file, env, write) {
    this.name = name;
    this.file = file;
    this.env = env;
    this.write = (from, text) => write({ unit: name, invocation: this.invocation, from, text });
    this.reload();
  }

  /** Reads the unit file again. */
  reload() {
    const lines = readFileSync(this.file, 'utf8').split('\n');
    const all = (key) => lines.filter((line) => line.startsWith(`${key}=`)).map((line) => line.slice(key.length + 1));
    const one = (key, fallback) => all(key).at(-1) ?? fallback;
    this.settings = {
      description: one('Description', this.name),
      type: one('Type', 'simple'),
      command: one('ExecStart', '').split(' '),
      environment: Object.fromEntries(all('Environment').map((pair) => pair.split(/=(.*)/s).slice(0, 2))),
      restart: one('Restart', 'no'),
      restartMs: milliseconds(one('RestartSec', '100ms')),
      stopMs: milliseconds(one('TimeoutStopSec', '90s')),
      startLimitMs: milliseconds(one('StartLimitIntervalSec', '10s')),
      startLimit: Number(one('StartLimitBurst', '5')),
    };
    this.readAt = statSync(this.file).mtimeMs;
  }

  /** Whether the file was edited since it was read. */
  get isOutdated() {
    return statSync(this.file).mtimeMs !== this.readAt;
  }

  /** @returns whether it runs then */
  async start() {
    if (this.#child) return true;
    clearTimeout(this.#restart);
    this.restarts = 0;
    return this.#launch();
  }

  async stop() {
    clearTimeout(this.#restart);
    if (!this.#child) {
      if (this.active !== 'failed') this.#become('inactive', 'dead');
      return;
    }
    this.#stopping = true;
    this.#become('deactivating', 'stop-sigterm');
    this.signal('SIGTERM');
    const patience = setTimeout(() => this.signal('SIGKILL'), this.settings.stopMs);
    await this.#ended;
    clearTimeout(patience);
  }

  resetFailed() {
    this.#starts = [];
    if (this.active === 'failed') this.#become('inactive', 'dead', 'success');
  }

  /** To its whole process group, or to the main process alone. */
  signal(name, onlyMain = false) {
    try {
      if (this.pid) process.kill(onlyMain ? this.pid : -this.pid, name);
    } catch {
      // It has just ended by itself.
    }
  }

  async #launch() {
    const { command, environment, startLimit, startLimitMs, description } = this.settings;
    const now = Date.now();
    this.#starts = this.#starts.filter((at) => now - at < startLimitMs);
    if (this.#starts.length >= startLimit) {
      this.write('systemd', `${this.name}: Start request repeated too quickly.`);
      this.#become('failed', 'failed', 'start-limit-hit');
      return false;
    }
    this.#starts.push(now);
    this.invocation = randomBytes(16).toString('hex');
    this.#stopping = false;
    const child = spawn(command[0], command.slice(1), {
      cwd: '/',
      env: { ...this.env, ...environment, INVOCATION_ID: this.invocation },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true, // a process group of its own, which stands for the control group
    });
    this.#child = child;
    this.pid = child.pid ?? 0;
    this.#become('active', 'running', 'success');
    this.write('systemd', `Started ${this.name} - ${description}.`);
    const name = `${this.name.replace(/\.service$/, '')}[${this.pid}]`;
    const { write } = this;
    for (const stream of [child.stdout, child.stderr])
      createInterface({ input: stream }).on('line', (line) => write(name, line));
    // A program that cannot be executed ends with status 203 (systemd.exec(5)).
    this.#ended = new Promise((resolve) => {
      child.once('error', () => resolve(this.#end(203, null)));
      child.once('exit', (code, signal) => resolve(this.#end(code, signal)));
    });
    return new Promise((resolve) => child.once('spawn', () => resolve(true)).once('error', () => resolve(true)));
  }

  #end(code, signal) {
    const { restart, restartMs } = this.settings;
    this.signal('SIGKILL'); // what the main process left behind in its group
    this.#child = undefined;
    this.pid = 0;
    this.exitStatus = code ?? constants.signals[signal];
    const clean = this.#stopping || code === 0 || cleanSignals.includes(signal);
    const result = clean ? 'success' : code === null ? 'signal' : 'exit-code';
    const how = code === null ? `code=killed, status=${signal.slice(3)}` : `code=exited, status=${code}`;
    this.write('systemd', `${this.name}: Main process exited, ${how}.`);
    if (this.#stopping) this.#become('inactive', 'dead', result);
    else if (restart === 'always' || (restart === 'on-failure' && !clean)) {
      this.#become('activating', 'auto-restart', result);
      this.#restart = setTimeout(() => {
        this.restarts += 1;
        this.write('systemd', `${this.name}: Scheduled restart job, restart counter is at ${this.restarts}.`);
        void this.#launch();
      }, restartMs);
    } else this.#become(clean ? 'inactive' : 'failed', clean ? 'dead' : 'failed', result);
  }

  #become(active, sub, result = this.result) {
    if (active === 'active' && this.active !== 'active') this.since = new Date().toISOString();
    Object.assign(this, { active, sub, result });
  }
}

/** `100ms`, `90s`, `2min` or a plain number of seconds (systemd.time(7)). */
function milliseconds(text) {
  const [, number, unit = 's'] = /^([\d.]+)\s*(ms|s|min)?$/.exec(text) ?? [];
  if (number === undefined) throw new Error(`${text} is a time span that the demo's service manager does not know`);
  return Number(number) * { ms: 1, s: 1000, min: 60_000 }[unit];
}
