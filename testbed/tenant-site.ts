import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createWorld, type World } from '../action-submodule-sync/test/world.js';
import { runWorkflow, type WorkflowFinished } from './act.js';
import { type CargoWorld, startCargo } from './cargo.js';
import { createRepository } from './git-server.js';

const execute = promisify(execFile);
const examples = fileURLToPath(new URL('../examples/workflows/', import.meta.url));

/** A tenant with two forges, a developer, and a runner with cargo that finds released actions on one of the forges. */
export interface TenantSite {
  readonly world: World;
  readonly cargo: CargoWorld;
  /** Addresses of an action's own repository on the two forges, empty at first. */
  actionRemotes(action: string): [origin: string, alm: string];
  /** A workflow of `examples/`, with the values of this tenant. `values`: more of them, text by text. */
  example(name: string, values?: Record<string, string>): string;
  /**
   * Lets the runner do what a forge would have it do for an event: checks out what `alm` holds, and runs the workflow.
   * `from`: repository; `at`: commit, default the tip of main.
   */
  run(workflow: string, event?: EventOptions): Promise<WorkflowFinished>;
  /** What a commit of the runner's own clone of an action is. */
  used(action: string): Promise<string>;
  stop(): Promise<void>;
}

export interface EventOptions {
  from?: string;
  at?: string;
  event?: string;
  payload?: object;
  secrets?: Record<string, string>;
  vars?: Record<string, string>;
  env?: Record<string, string>;
}

export async function startTenantSite(): Promise<TenantSite> {
  const [world, cargo] = await Promise.all([createWorld({ homes: { origin: {}, alm: {} } }), startCargo()]);
  const servers = ['origin', 'alm'].map((name) => world.homes[name]?.http);
  const [origin = '', alm = ''] = servers.map((server) => `http://127.0.0.1:${server?.port}`);
  const path = `${dirname(process.execPath)}:${cargo.env.PATH}`;
  const git = async (...args: string[]) => (await execute('git', args, { env: world.env })).stdout.trim();
  for (const server of servers) {
    const actions = join(dirname(server?.dir ?? ''), 'gbo');
    mkdirSync(actions);
    for (const action of ['action-deploy', 'action-submodule-sync', 'action-cache-clean', 'action-guard'])
      await createRepository(join(actions, action), {});
  }
  return {
    world,
    cargo,
    actionRemotes: (action) => [`${origin}/gbo/${action}`, `${alm}/gbo/${action}`],
    example(name, values = {}) {
      const known = {
        // Full addresses are Forgejo's own; act takes the short form, and looks where it is told to.
        'https://data.forgejo.org/actions/checkout@': 'actions/checkout@',
        'https://forge.example.com/gbo/': 'gbo/',
        'https://github.com/acme/': `${origin}/acme/`,
        'https://forge.example.com/acme/': `${alm}/acme/`,
        ...values,
      };
      const text = readFileSync(join(examples, name), 'utf8');
      return Object.entries(known).reduce((rest, [from, to]) => rest.replaceAll(from, to), text);
    },
    async run(workflow, { from = 'gb', at = 'origin/main', event = 'push', payload, ...more } = {}) {
      const checkout = mkdtempSync(join(cargo.root, 'checkout-'));
      await git('clone', '--quiet', `${alm}/acme/${from}.git`, checkout);
      await git('-C', checkout, 'checkout', '--quiet', '-B', 'main', at);
      const wants = readFileSync(join(checkout, workflow), 'utf8');
      if (/^ +submodules: true$/m.test(wants)) await git('-C', checkout, 'submodule', 'update', '--quiet', '--init');
      const after = await git('-C', checkout, 'rev-parse', 'HEAD');
      const pushed = { ref: 'refs/heads/main', after, deleted: false };
      return runWorkflow({
        ...more,
        repository: checkout,
        name: `acme/${from}`,
        workflow,
        event,
        payload: payload ?? (event === 'push' ? pushed : {}),
        secrets: { READ_TOKEN: 'read%token', ...more.secrets },
        home: cargo.home,
        path,
        server: alm,
      });
    },
    used: (action) => git('-C', join(cargo.home, '.cache/act', `gbo-${action}@v1`), 'rev-parse', 'HEAD'),
    async stop() {
      await Promise.all([world.stop(), cargo.stop()]);
    },
  };
}

/** A botserver and a botui in Rust without dependencies: `status` is what botserver answers to whoever asks whether it is well. */
export function writeBotserver(folder: string, version: string, status = '200 OK'): void {
  mkdirSync(join(folder, 'src/bin'), { recursive: true });
  writeFileSync(
    join(folder, 'Cargo.toml'),
    '[package]\nname = "botserver"\nversion = "0.1.0"\nedition = "2021"\n\n[profile.release]\nopt-level = 0\n',
  );
  writeFileSync(join(folder, 'src/bin/botserver.rs'), program('botserver', 5858, version, status));
  writeFileSync(join(folder, 'src/bin/botui.rs'), program('botui', 5859, version, '200 OK'));
}

function program(name: string, port: number, version: string, status: string): string {
  return `use std::io::{Read, Write};

const VERSION: &str = "${version}";

fn main() {
    if std::env::args().any(|each| each == "--version") {
        println!("${name} {VERSION}");
        return;
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:${port}").unwrap();
    for mut stream in listener.incoming().flatten() {
        let _ = stream.read(&mut [0; 4096]);
        let _ = write!(stream, "HTTP/1.1 ${status}\\r\\nContent-Length: {}\\r\\n\\r\\n{VERSION}", VERSION.len());
    }
}
`;
}
