// Loaded before a bundle: leaves what it took of memory at most, in KiB, where the bench looks for it.
const { writeFileSync } = require('node:fs');

process.on('exit', () => writeFileSync(process.env.PEAK_MEMORY_FILE, String(process.resourceUsage().maxRSS)));
