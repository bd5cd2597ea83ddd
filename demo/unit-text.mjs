/** What `systemctl show` prints of a unit, which may not exist. */
export function show(name, unit, { property = '', value = false }) {
  const known = unit
    ? properties(unit)
    : { LoadState: 'not-found', ActiveState: 'inactive', SubState: 'dead', MainPID: 0 };
  const all = { Id: name, ...known };
  return property
    .split(',')
    .filter((key) => key in all)
    .map((key) => (value ? `${all[key]}` : `${key}=${all[key]}`))
    .join('\n');
}

function properties(unit) {
  const { settings, file, pid } = unit;
  return {
    LoadState: 'loaded',
    ActiveState: unit.active,
    SubState: unit.sub,
    Result: unit.result,
    NRestarts: unit.restarts,
    MainPID: pid,
    InvocationID: unit.invocation,
    Type: settings.type,
    ExecMainStatus: unit.exitStatus,
    ExecStart: `{ path=${settings.command[0]} ; argv[]=${settings.command.join(' ')} ; ignore_errors=no ; pid=${pid} }`,
    NeedDaemonReload: unit.isOutdated ? 'yes' : 'no',
    TriggeredBy: '',
    ActiveEnterTimestamp: unit.since,
    TimeoutStopUSec: `${settings.stopMs}ms`,
    FragmentPath: file,
    User: '',
    CanReload: 'no',
    UnitFileState: 'enabled',
  };
}

/** What `systemctl status` prints. */
export function status({ name, settings, file, active, sub, result, since, pid }) {
  return [
    `${name} - ${settings.description}`,
    `     Loaded: loaded (${file})`,
    `     Active: ${active} (${sub})${since ? ` since ${since}` : ''}${result === 'success' ? '' : `, result ${result}`}`,
    ...(pid ? [`   Main PID: ${pid}`] : []),
  ].join('\n');
}
