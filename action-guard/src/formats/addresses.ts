/** An address as its bytes: 4 of IPv4, 16 of IPv6. */
export type Address = readonly number[];

export interface Network {
  address: Address;
  mask: Address;
}

/** Decimal digits only, as a number; NaN else. */
export function digits(text: string): number {
  return text !== '' && text.length <= 10 && !/[^0-9]/.test(text) ? Number(text) : Number.NaN;
}

/** As iptables reads it: missing numbers at the end are zeros. Undefined: not an IPv4 address. */
export function parseIpv4(text: string): Address | undefined {
  const parts = text.split('.');
  if (parts.length > 4) return undefined;
  const bytes = parts.map(digits);
  if (bytes.some((byte) => !(byte <= 255))) return undefined;
  while (bytes.length < 4) bytes.push(0);
  return bytes;
}

/** Undefined: not an IPv6 address. */
export function parseIpv6(text: string): Address | undefined {
  if (text.length > 45) return undefined;
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const groups = (half: string): number[] | undefined => {
    const bytes: number[] = [];
    if (half === '') return bytes;
    const pieces = half.split(':');
    for (const [index, piece] of pieces.entries()) {
      if (piece.includes('.') && index === pieces.length - 1) {
        const tail = piece.split('.').length === 4 ? parseIpv4(piece) : undefined;
        if (!tail) return undefined;
        bytes.push(...tail);
      } else {
        if (piece === '' || piece.length > 4 || /[^0-9A-Fa-f]/.test(piece)) return undefined;
        const value = Number.parseInt(piece, 16);
        bytes.push(value >> 8, value & 255);
      }
    }
    return bytes;
  };
  const [head, tail] = [groups(halves[0] as string), groups(halves[1] ?? '')];
  if (!head || !tail) return undefined;
  const missing = 16 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  return [...head, ...new Array<number>(missing).fill(0), ...tail];
}

/** `address[/bits|/mask]`. Undefined: neither, or of the other family. */
export function parseNetwork(text: string, family: 4 | 6): Network | undefined {
  const slash = text.indexOf('/');
  const parse = family === 4 ? parseIpv4 : parseIpv6;
  const address = parse(slash < 0 ? text : text.slice(0, slash));
  if (!address) return undefined;
  if (slash < 0) return { address, mask: maskOf(address.length * 8, address.length) };
  const suffix = text.slice(slash + 1);
  const bits = digits(suffix);
  if (Number.isNaN(bits)) {
    const mask = suffix.includes(family === 4 ? '.' : ':') ? parse(suffix) : undefined;
    return mask && { address, mask };
  }
  return bits <= address.length * 8 ? { address, mask: maskOf(bits, address.length) } : undefined;
}

function maskOf(bits: number, length: number): Address {
  return Array.from({ length }, (_, index) => {
    const here = Math.max(0, Math.min(8, bits - index * 8));
    return (0xff << (8 - here)) & 0xff;
  });
}

export function contains(network: Network, address: Address): boolean {
  return (
    network.address.length === address.length &&
    address.every(
      (byte, index) => ((byte ^ (network.address[index] as number)) & (network.mask[index] as number)) === 0,
    )
  );
}
