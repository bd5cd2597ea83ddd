import { describeStates } from '../state-table.js';

// Each question costs a connection: here are the cases where SSH, or an old server, says something in words of its own, and
// one of every state.
describeStates({
  name: 'alm over SSH with protocol 2; origin over HTTP',
  origin: {},
  alm: { via: 'ssh' },
  only: [
    'tip',
    'behind',
    'merged',
    'clock',
    'lag',
    'lag-origin',
    'lag-dangling',
    'other',
    'other-moved',
    'tagged',
    'diverged',
    'dangling',
    'missing',
    'no-branch',
    'file',
    'tag-object',
  ],
  root: {
    what: 'pushed to main of origin, and to a topic branch of alm',
    states: ['PUSHED', 'OTHER-BRANCH'],
    async make(world) {
      await world.pushRoot('origin');
      await world.push('.', 'alm', 'HEAD:refs/heads/topic');
    },
  },
});

describeStates({
  name: 'alm over SSH as an old server; origin over HTTP with protocol 0; all commands pasted at once',
  origin: { protocol: 0 },
  alm: { via: 'ssh', protocol: 0, partial: false },
  atOnce: true,
  only: ['tip', 'behind', 'old-clock', 'lag', 'other-missing', 'diverged', 'dangling', 'squashed', 'no-branch', 'tree'],
  root: {
    what: 'pushed everywhere',
    states: ['PUSHED', 'PUSHED'],
    make: (world) => world.pushRoot(),
  },
});
