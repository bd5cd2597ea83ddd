import { spawnSync } from 'node:child_process';
import { PassThrough } from 'node:stream';
import type { ClientChannel } from 'ssh2';
import { describe, expect, it } from 'vitest';
import type { Link } from '../../src/ssh/link.js';
import { type Exec, runScript } from '../../src/ssh/script.js';

/** The command that a script is run by, and what is sent to its stdin. */
async function sent(sh: string, args: string[]): Promise<{ command: string; text: string }> {
  let command = '';
  let text = '';
  const channel = Object.assign(new PassThrough(), { stderr: new PassThrough() });
  channel.end = ((chunk: string) => {
    text = chunk;
    return channel;
  }) as typeof channel.end;
  const exec: Exec = async (line, listen) => {
    command = line;
    return listen(channel as unknown as ClientChannel);
  };
  const link = { lost: undefined, address: 'root@acme-system', during: async () => ({ stdout: '' }) };
  await runScript(link as unknown as Link, exec, sh, { args });
  return { command, text };
}

describe('a script on its way to the target', () => {
  const words = ['one', "it's two"];
  const steps = 'for word; do echo "step $word"; done\necho "step three"\nexit 7';

  it('runs when it has arrived', async () => {
    const { command, text } = await sent(steps, words);
    const { stdout, status } = spawnSync('/bin/sh', ['-c', command], { input: text });
    expect([status, stdout.toString()]).toEqual([7, expect.stringMatching(/step one\nstep it's two\nstep three\n$/)]);
  });

  it('does nothing at all when a lost link cuts it short, wherever that is', async () => {
    const { command, text } = await sent(steps, words);
    const whole = text.trimEnd().length;
    const ran = Array.from({ length: whole }, (_, length) => {
      const { stdout } = spawnSync('/bin/sh', ['-c', command], { input: text.slice(0, length) });
      return stdout.includes('step') ? text.slice(0, length) : '';
    });
    expect(ran.filter(Boolean)).toEqual([]);
  });
});
