import { unit } from '../../src/rules/unit/index.js';
import { testSamples } from './samples.js';

testSamples(unit);
