import { dns } from '../../src/rules/dns/index.js';
import { testSamples } from './samples.js';

testSamples(dns);
