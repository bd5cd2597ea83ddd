// Loaded by node before a bundle: variables that no shell would pass on, from a file.
const { readFileSync } = require('node:fs');

Object.assign(process.env, JSON.parse(readFileSync(process.env.VARIABLES, 'utf8')));
