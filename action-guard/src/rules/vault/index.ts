import { z } from 'zod';
import type { Family } from '../../rule.js';
import { secret } from './secret.js';

export const schema = z.strictObject({
  /** Globs of the files to look into; a `!glob` takes some out. */
  files: z.array(z.string()).min(1),
});

export type VaultOptions = z.output<typeof schema>;

const binary =
  'png,jpg,jpeg,gif,webp,ico,svg,pdf,woff,woff2,ttf,otf,eot,mp3,mp4,webm,wav,zip,gz,xz,zst,bz2,7z,jar,so,a,o,wasm,exe,dll,bin,onnx,gguf,parquet,sqlite';
const guide: VaultOptions = { files: ['**', `!**/*.{${binary}}`, '!**/node_modules/**'] };

/** What Vault must not lose. */
export const vault: Family<VaultOptions> = {
  name: 'vault',
  schema,
  presets: { 'guide-lxd': guide, 'infra-incus': guide },
  rules: [secret],
};
