import { caddy } from '../../src/rules/caddy/index.js';
import { testSamples } from './samples.js';

testSamples(caddy);
