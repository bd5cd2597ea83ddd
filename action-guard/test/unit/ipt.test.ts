import { ipt } from '../../src/rules/ipt/index.js';
import { testSamples } from './samples.js';

testSamples(ipt);
