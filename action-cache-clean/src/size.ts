const powers = ['', 'k', 'm', 'g', 't'];

/**
 * `20GB`, `500 MiB`, `10G`, `0` as bytes. As cargo reads them: MB is 1000², MiB is 1024²; and as sccache does: a bare G is GiB.
 * Ours, because the libraries for it take GB for GiB, which on a full disk is 7 % too late.
 *
 * @throws Error with half a sentence: `"big" is not a size such as 20GB or 500MiB`
 */
export function parseSize(text: string): number {
  const match = /^(\d{1,9}(?:\.\d{1,3})?) ?([kmgt]?)(i?)(b?)$/i.exec(text.trim());
  const [, number = '', unit = '', binary = '', byte = ''] = match ?? [];
  const base = binary || (unit && !byte) ? 1024 : 1000;
  const bytes = Math.round(Number(number) * base ** powers.indexOf(unit.toLowerCase()));
  // Beyond 2^53 bytes (9 PB) numbers are no longer exact; no disk is that large.
  if (!match || (binary && !unit) || (!unit && !byte && Number(number) !== 0) || !Number.isSafeInteger(bytes)) {
    throw new Error(`${JSON.stringify(text)} is not a size such as 20GB or 500MiB`);
  }
  return bytes;
}

/** An amount of free disk: bytes, or a part of the whole. */
export type Amount = { bytes: number } | { percent: number };

/** `15%`, or a size. @throws Error with half a sentence */
export function parseAmount(text: string): Amount {
  const percent = /^(\d{1,2}(?:\.\d)?) ?%$/.exec(text.trim())?.[1];
  if (percent !== undefined) return { percent: Number(percent) };
  try {
    return { bytes: parseSize(text) };
  } catch {
    throw new Error(`${JSON.stringify(text)} is neither a size such as 20GB nor a part such as 15%`);
  }
}

/** In bytes, on a disk of `total` bytes. */
export function amountOf(amount: Amount, total: number): number {
  return 'bytes' in amount ? amount.bytes : (total * amount.percent) / 100;
}
