import type { Family } from '../../rule.js';
import { addTool } from './add-tool.js';
import { basenameClash } from './basename-clash.js';
import { encoding } from './encoding.js';
import { mcpInvalid } from './mcp-invalid.js';
import { mcpMissing } from './mcp-missing.js';
import { mcpOrphan } from './mcp-orphan.js';
import { mcpStale } from './mcp-stale.js';
import { noOutputs } from './no-outputs.js';
import { type BotOptions, botOptions, botPresets } from './options.js';
import { outsideGbdialog } from './outside-gbdialog.js';
import { paramIgnored } from './param-ignored.js';
import { paramType } from './param-type.js';
import { toolName } from './tool-name.js';
import { useToolUnresolved } from './use-tool-unresolved.js';

/** Bots: their scripts, their tools, and what the model is told of those. */
export const bot: Family<BotOptions> = {
  name: 'bot',
  schema: botOptions,
  presets: botPresets,
  rules: [
    noOutputs,
    mcpMissing,
    mcpInvalid,
    mcpStale,
    mcpOrphan,
    useToolUnresolved,
    addTool,
    basenameClash,
    outsideGbdialog,
    paramIgnored,
    paramType,
    toolName,
    encoding,
  ],
};
