const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** Bytes for people, with three digits at most: `0 B`, `1.5 MiB`, `300 MiB`. Powers of 1024, as df -h and ls -h count. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // From 999.5 on, rounding would print four digits.
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const text =
    unit === 0 ? String(Math.round(value)) : value.toPrecision(Math.max(2, Math.trunc(value).toString().length));
  return `${text} ${units[unit]}`;
}
