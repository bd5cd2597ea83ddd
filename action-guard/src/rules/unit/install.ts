import type { Finding, Look, Rule } from '../../rule.js';
import { find, judged, positionIn } from './find.js';
import type { UnitOptions } from './index.js';
import { bad, good } from './install-samples.js';
import { settingsOf } from './service.js';

export const install: Rule<UnitOptions> = {
  id: 'unit/install',
  severity: 'warning',
  title: 'botserver and botui start at boot, and again when they fail.',
  reason: `A unit without \`[Install]\` cannot be enabled: it runs until the container restarts, and then nobody misses it before the
first customer does. Without \`Restart=\` one panic ends the service for good.`,
  suppressible: true,
  files: (options) => options.files,
  judged: judged('ui', 'server'),
  check: (look) => check(look),
  samples: { good, bad },
};

function check({ head, options }: Look<UnitOptions>): Finding[] {
  const findings: Finding[] = [];
  const seen = new Set<string>();
  for (const service of [...find(head, options, 'server'), ...find(head, options, 'ui')]) {
    const { main } = service;
    if (!main || main.file.kind === 'link' || seen.has(main.file.path)) continue;
    seen.add(main.file.path);
    const { path, text } = main.file;
    const wanted = main.unit.entries.some(
      ({ section, key, value }) =>
        section === 'Install' && ['WantedBy', 'RequiredBy', 'UpheldBy', 'Also', 'Alias'].includes(key) && value !== '',
    );
    if (!wanted) {
      const last = main.unit.sections.find(({ name }) => name === 'Install') ?? main.unit.sections[0];
      findings.push({
        status: 'fail',
        at: positionIn(path, text, last?.at ?? 0),
        message: `${service.name} cannot be enabled, as no [Install] section says what wants it.`,
        todo: 'Add `[Install]` with `WantedBy=multi-user.target`.',
      });
    }
    // It is one value: the last line counts, also an empty one.
    const restart = service.parts
      .flatMap((part) =>
        part.unit.entries
          .filter(({ section, key }) => section === 'Service' && key === 'Restart')
          .map((entry) => ({ part, entry })),
      )
      .at(-1);
    const kind = settingsOf(service, 'Type').at(-1)?.entry.value;
    if (kind !== 'oneshot' && (!restart || ['no', ''].includes(restart.entry.value))) {
      const section = main.unit.sections.find(({ name }) => name === 'Service');
      const where = restart ? restart.part.file : main.file;
      findings.push({
        status: 'fail',
        at: positionIn(where.path, where.text, restart?.entry.at ?? section?.at ?? 0),
        message: `${service.name} is not started again when it fails.`,
        todo: 'Set `Restart=always` in [Service].',
      });
    }
  }
  return findings;
}
