import { f2b } from '../../src/rules/f2b/index.js';
import { testSamples } from './samples.js';

testSamples(f2b);
