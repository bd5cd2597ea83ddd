/** A range of addresses. Ours: Go, which reads these for CoreDNS and others, refuses what looser libraries take. */
export interface Net {
  family: 4 | 6;
  low: bigint;
  high: bigint;
}

/** `10.0.0.0/8`, `10.1.2.3`, `2001:db8::/32`; undefined when Go would refuse it. */
export function parseNet(text: string): Net | undefined {
  const slash = text.indexOf('/');
  const address = slash < 0 ? text : text.slice(0, slash);
  const value = address.includes(':') ? parseSix(address) : parseFour(address);
  if (value === undefined) return undefined;
  const family = address.includes(':') ? 6 : 4;
  const bits = family === 4 ? 32 : 128;
  const prefix = slash < 0 ? String(bits) : text.slice(slash + 1);
  if (!/^\d{1,3}$/.test(prefix) || Number(prefix) > bits) return undefined;
  const size = 1n << BigInt(bits - Number(prefix));
  const low = value - (value % size);
  return { family, low, high: low + size - 1n };
}

export function contains(net: Net, family: 4 | 6, address: bigint): boolean {
  return net.family === family && net.low <= address && address <= net.high;
}

function parseFour(text: string): bigint | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  let value = 0n;
  for (const part of parts) {
    if (!/^\d{1,3}$/.test(part) || Number(part) > 255 || (part.length > 1 && part.startsWith('0'))) return undefined;
    value = value * 256n + BigInt(part);
  }
  return value;
}

function parseSix(text: string): bigint | undefined {
  if (text.length > 45) return undefined;
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const groups = halves.map((half) => (half === '' ? [] : half.split(':')));
  const last = groups[groups.length - 1] as string[];
  const tail = last[last.length - 1];
  if (tail?.includes('.')) {
    const four = parseFour(tail);
    if (four === undefined) return undefined;
    last.splice(-1, 1, (four >> 16n).toString(16), (four & 0xffffn).toString(16));
  }
  const [head = [], rest = []] = groups;
  const missing = 8 - head.length - rest.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  let value = 0n;
  for (const group of [...head, ...Array.from({ length: missing }, () => '0'), ...rest]) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined;
    value = value * 65_536n + BigInt(Number.parseInt(group, 16));
  }
  return value;
}
