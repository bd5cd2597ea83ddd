/** The text that was looked at last: rule after rule asks about the same one. */
let last: { text: string; starts: readonly number[] } = { text: '', starts: [0] };

function startsOf(text: string): readonly number[] {
  if (last.text === text) return last.starts;
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  last = { text, starts };
  return starts;
}

/** Finds lines and columns of offsets in one text, fast for many of them. */
export class Lines {
  readonly #starts: readonly number[];
  readonly text: string;

  constructor(text: string) {
    this.text = text;
    this.#starts = startsOf(text);
  }

  /** From 1. */
  at(offset: number): { line: number; column: number } {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#starts[middle] as number) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - (this.#starts[low] as number) + 1 };
  }

  get count(): number {
    return this.#starts.length;
  }
}
