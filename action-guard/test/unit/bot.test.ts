import { bot } from '../../src/rules/bot/index.js';
import { testSamples } from './samples.js';

testSamples(bot);
