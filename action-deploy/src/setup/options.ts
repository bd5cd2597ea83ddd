import { read } from '@gbo/shared/fields';
import { defineInputs } from '@gbo/shared/inputs';
import { hostName, portNumber, userName } from '@gbo/shared/ssh/endpoint-input';
import { z } from 'zod';
import { isPlainAbsolutePath } from '../plain-path.js';

/** What can be printed alone, so that it can be piped. */
export const parts = ['all', 'workflows', 'secrets', 'known-hosts', 'sudoers', 'authorized-keys', 'target'] as const;
export type Part = (typeof parts)[number];

/** How a tenant is called and where its things are. */
export interface TenantOptions {
  tenant: string;
  /** Address of the Forgejo, without a slash at its end. */
  forge: string;
  /** Owner of the actions' repositories there. */
  actions: string;
  /** Owner of the tenant's repositories there, and on the other remote. */
  owner: string;
  /** Base of the other remote, with a slash at its end. */
  origin: string;
  root: string;
  label: string;
  host: string;
  port: number;
  user: string;
  folder: string;
  serverUnit: string;
  uiUnit: string;
  serverHealth: string;
  uiHealth: string;
  /** Addresses that the key may be used from. */
  from: string[];
  /** `type base64 comment`, when it was given. */
  publicKey?: string;
}

export interface SetupOptions {
  tenant: TenantOptions;
  print: Part;
  scan: boolean;
  /** Checkout of the root repository to write to. */
  write?: string;
  /** Checkouts of submodules to write to. */
  writeSubmodules: string[];
}

const matching = (pattern: RegExp, what: string) =>
  z.string().regex(pattern, { error: (issue) => `${JSON.stringify(issue.input)} is not ${what}` });
const name = matching(/^[a-z0-9]([a-z0-9_.-]{0,62}[a-z0-9])?$/i, 'a name of letters, digits, dots and dashes');
const unit = matching(/^[\w:@.-]+$/, 'a unit name');

/** An address that can stand in a workflow as it is; a token in it would be everybody's. */
const address = read((text) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || /[\s'"${}]/.test(text) || url.search || url.hash) {
    throw new Error(`${JSON.stringify(text)} is not an address such as https://forge.example.com`);
  }
  if (url.username || url.password) throw new Error('holds a user or password; that does not belong in a workflow');
  return text.replace(/\/+$/, '');
});

const folder = matching(/^\/[\w./-]*$/, 'a plain absolute path').refine(isPlainAbsolutePath, {
  error: (issue) => `${JSON.stringify(issue.input)} is not a plain absolute path`,
});

/** Where root's own programs and files lie: who may write there is root. The target script gives the folder to the user. */
const ofTheSystem =
  /^\/([^/]+|var\/[^/]+)$|^\/(bin|boot|dev|etc|lib\w*|proc|root|run|sbin|sys|tmp)\/|^\/usr\/(?!local\/[^/]+\/)/;

const health = matching(/^https?:\/\/[\w.:[\]-]+(\/[\w./%?=&-]*)?$/, 'an address such as http://localhost:5858/health');

const publicKey = read((text) => {
  const line = text.trim();
  if (/PRIVATE KEY/.test(line)) throw new Error('is a private key; give the .pub file beside it');
  if (!/^(ssh-|ecdsa-sha2-)[\w@.-]+ AAAA[\w+/]+=*( [\w@.+ -]*)?$/.test(line))
    throw new Error('is not one line such as `ssh-ed25519 AAAA... deploy`');
  return line;
});

const list = (text: string | undefined) =>
  (text ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean);

const schema = z.object({
  tenant: name.meta({ description: 'Name of the tenant, such as acme.', required: true }),
  forge: address.meta({ description: 'Address of its Forgejo, such as https://forge.example.com.', required: true }),
  host: hostName.optional().meta({ description: 'The system container. Default: TENANT-system.' }),
  port: portNumber.meta({ description: 'SSH port of the system container.', default: '22' }),
  user: userName.meta({
    description: 'User who deploys. root needs no sudo rules.',
    default: 'deploy',
  }),
  folder: folder.meta({ description: 'Folder of the binaries on the target.', default: '/opt/gbo/bin' }),
  'server-unit': unit.meta({ description: 'Unit that runs botserver.', default: 'system' }),
  'ui-unit': unit.meta({ description: 'Unit that runs botui.', default: 'ui' }),
  'server-health': health.meta({ description: 'Where botserver answers.', default: 'http://localhost:5858/health' }),
  'ui-health': health.meta({ description: 'Where botui answers.', default: 'http://localhost:5859/' }),
  actions: name.meta({ description: 'Owner of the repositories of these actions on the Forgejo.', default: 'gbo' }),
  owner: name.optional().meta({ description: "Owner of the tenant's repositories. Default: TENANT." }),
  origin: address.optional().meta({
    description: 'Folder of the same repositories on the other remote. Default: https://github.com/OWNER.',
  }),
  root: name.meta({ description: 'Name of the root repository.', default: 'gb' }),
  label: name.meta({ description: 'Label of the runner.', default: 'gbo' }),
  from: z
    .string()
    .regex(/^[0-9a-f.:/*?, ]+$/i, {
      error: (issue) => `${JSON.stringify(issue.input)} is not a list of addresses such as 10.0.0.7,10.1.0.0/24`,
    })
    .optional()
    .meta({
      description: 'Addresses of the runner, separated by commas: the key is of no use from elsewhere. Default: any.',
    }),
  'public-key': publicKey
    .optional()
    .meta({ description: 'The public key, mostly as @deploy_key.pub. Without it a place is left for it.' }),
  scan: z.stringbool({ error: 'is a switch without a value' }).meta({
    description: 'Ask the target for its host key over the network, and print it with its fingerprint to compare.',
    default: 'false',
  }),
  print: z
    .enum(parts, { error: (issue) => `${JSON.stringify(issue.input)} is not one of ${parts.join(', ')}` })
    .meta({ description: `What to print: ${parts.join(', ')}.`, default: 'all' }),
  write: z.string().optional().meta({ description: 'Checkout of the root repository to write its workflows to.' }),
  'write-submodule': z
    .string()
    .optional()
    .meta({ description: 'Checkouts of submodules to write theirs to, separated by commas.' }),
});

/** The options of `setup`, in the form of inputs: `--name value`, `@file` reads the value from a file. */
export const options = defineInputs(schema, (values, problem): SetupOptions => {
  const { tenant, forge, user } = values;
  const owner = values.owner ?? tenant;
  if (values['server-unit'] === values['ui-unit']) problem('server-unit and ui-unit are the same');
  if (user !== 'root' && ofTheSystem.test(values.folder))
    problem(
      `input folder: ${JSON.stringify(values.folder)} is the system's, and ${user} would own it; name one of your own`,
    );
  return {
    tenant: {
      tenant,
      forge,
      actions: values.actions,
      owner,
      origin: `${values.origin ?? `https://github.com/${owner}`}/`,
      root: values.root,
      label: values.label,
      host: values.host ?? `${tenant}-system`,
      port: values.port,
      user,
      folder: values.folder,
      serverUnit: values['server-unit'],
      uiUnit: values['ui-unit'],
      serverHealth: values['server-health'],
      uiHealth: values['ui-health'],
      from: list(values.from),
      publicKey: values['public-key'],
    },
    print: values.print,
    scan: values.scan,
    write: values.write,
    writeSubmodules: list(values['write-submodule']),
  };
});
