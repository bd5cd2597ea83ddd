import { ci } from '../../src/rules/ci/index.js';
import { testSamples } from './samples.js';

testSamples(ci);
