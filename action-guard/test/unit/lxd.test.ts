import { lxd } from '../../src/rules/lxd/index.js';
import { testSamples } from './samples.js';

testSamples(lxd);
