import { help, inputsFromCommandLine } from './command-line.js';
import { ExpectedError, messageOf } from './errors.js';
import { type InputsDefinition, inputsFromEnvironment } from './inputs.js';
import { createLog, type Log } from './log.js';
import type { Report } from './report.js';
import { Secrets } from './secrets.js';

export interface RunContext {
  log: Log;
  /** Aborted by SIGINT and SIGTERM: stop, undo, leave. */
  signal: AbortSignal;
  env: NodeJS.ProcessEnv;
  /** Takes every secret out of a text that leaves by another way than log, outputs and summary. */
  redact(text: string): string;
}

// Whoever read the log may be gone before the end (a closed terminal, `| head`): what was begun is still brought to its end.
process.stdout.on('error', () => {});
const say = (text: string): void => void process.stdout.write(text);

/**
 * Runs one action from its inputs to its exit code: the one try/catch, the masks, cancellation, outputs.
 * `body` wires the rooms together. Never rejects; sets `process.exitCode`.
 */
export async function runAction<Inputs>(
  definition: InputsDefinition<Inputs>,
  body: (inputs: Inputs, context: RunContext) => Promise<Report>,
): Promise<void> {
  const { env } = process;
  const args = process.argv.slice(2);
  const inRunner = env.GITHUB_ACTIONS === 'true' && args.length === 0;
  const secrets = new Secrets();
  const log = createLog(say, secrets, inRunner);
  if (args.includes('--help')) {
    for (const line of help(definition.declared)) log.line(line);
    return;
  }
  const cancel = new AbortController();
  const stop = (name: NodeJS.Signals) => {
    if (cancel.signal.aborted) process.exit(130);
    cancel.abort(new ExpectedError(`Cancelled by ${name}.`, '', ''));
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    const raw = new Map([...inputsFromEnvironment(env), ...inputsFromCommandLine(args, definition.declared)]);
    const mask = (secret: string) => {
      // Written raw: the runner's reporter takes the text after the marker as it stands.
      for (const text of secrets.add(secret)) if (inRunner) say(`::add-mask::${text}\n`);
    };
    for (const { name, secret } of definition.declared) if (secret) mask(raw.get(name) ?? '');
    const inputs = definition.parse(raw);
    for (const secret of definition.derivedSecrets(inputs)) mask(secret);
    await deliver(
      await body(inputs, { log, signal: cancel.signal, env, redact: (text) => secrets.redact(text) }),
      log,
      secrets,
      env,
    );
  } catch (error) {
    process.exitCode = 1;
    if (error instanceof ExpectedError) log.error(error.message);
    // Not foreseen: ours to mend, and the stack is what a bug report needs.
    else log.error(`Unexpected: ${error instanceof Error ? (error.stack ?? error.message) : messageOf(error)}`);
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}

async function deliver(report: Report, log: Log, secrets: Secrets, env: NodeJS.ProcessEnv): Promise<void> {
  for (const group of report.log) log.group(group);
  // Loaded only now: it brings an HTTP client along, which would double the time to the first log line.
  const core = await import('@actions/core');
  if (env.GITHUB_OUTPUT) {
    for (const [name, value] of Object.entries(report.outputs)) core.setOutput(name, secrets.redact(value));
  }
  if (env.GITHUB_STEP_SUMMARY && report.summary) {
    await core.summary.addRaw(secrets.redact(report.summary), true).write();
  }
  if (report.failed) {
    process.exitCode = 1;
    log.error(report.failed);
  }
}
