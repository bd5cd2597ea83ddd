import { describeStates } from '../state-table.js';

describeStates({
  name: 'two servers as GitHub and Forgejo are: protocol 2, partial clone, a token for alm',
  origin: {},
  alm: { token: 'alm-token-1' },
  root: {
    what: 'pushed to origin only',
    states: ['PUSHED', 'LAGGING'],
    make: (world) => world.pushRoot('origin'),
  },
});

describeStates({
  name: 'alm without partial clone; origin with protocol 0 and a token; all commands pasted at once',
  origin: { protocol: 0, token: 'origin-token-1' },
  alm: { partial: false },
  atOnce: true,
  root: {
    what: 'pushed to alm only',
    states: ['LAGGING', 'PUSHED'],
    make: (world) => world.pushRoot('alm'),
  },
});

describeStates({
  name: 'an old origin that hands out only what a branch leads to; alm with protocol 0; tokens for both',
  origin: { protocol: 0, partial: false, token: 'origin-token-2' },
  alm: { protocol: 0, token: 'alm-token-2' },
  atOnce: true,
  root: {
    what: 'pushed nowhere',
    states: ['MISSING', 'MISSING'],
    make: async () => {},
  },
});

describeStates({
  name: 'an old alm that hands out only what a branch leads to; origin without partial clone; tokens for both',
  origin: { partial: false, token: 'origin-token-3' },
  alm: { protocol: 0, partial: false, token: 'alm-token-3' },
  root: {
    what: 'pushed to alm, while origin got another commit',
    states: ['DIVERGED', 'PUSHED'],
    async make(world) {
      await world.pushRoot('alm');
      const head = await world.git('.', 'rev-parse', 'HEAD');
      await world.git('.', 'checkout', '--quiet', '--detach', 'HEAD^');
      await world.commit('.', { message: 'From another checkout', files: { 'docs/a.md': 'a\n' } });
      await world.pushRoot('origin');
      await world.git('.', 'checkout', '--quiet', '-B', 'main', head);
    },
  },
});
