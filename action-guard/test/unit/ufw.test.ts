import { ufw } from '../../src/rules/ufw/index.js';
import { testSamples } from './samples.js';

testSamples(ufw);
