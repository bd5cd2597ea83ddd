import { Document, Pair, Scalar, YAMLMap, YAMLSeq } from 'yaml';

const DEEPEST = 200;

/**
 * JSON as the nodes that `yaml` would make of it, ten times as fast: what `lxc list` prints of some containers with their
 * snapshots has megabytes. Undefined for what is no JSON.
 */
export function readJson(text: string): Document.Parsed | undefined {
  try {
    JSON.parse(text);
  } catch {
    return undefined;
  }
  const document = new Document();
  const reader = new Reader(text);
  const contents = reader.value(0);
  if (contents === undefined) return undefined;
  document.contents = contents as never;
  return document as unknown as Document.Parsed;
}

/** Of text that JSON.parse takes, so that nothing needs to be checked. */
class Reader {
  #at = 0;

  constructor(readonly text: string) {}

  #space(): string {
    while (' \t\r\n'.includes(this.text.charAt(this.#at)) && this.#at < this.text.length) this.#at++;
    return this.text.charAt(this.#at);
  }

  value(depth: number): YAMLMap | YAMLSeq | Scalar | undefined {
    if (depth > DEEPEST) return undefined;
    const char = this.#space();
    const start = this.#at;
    if (char === '{') {
      const map = new YAMLMap();
      this.#at++;
      while (this.#space() !== '}') {
        const key = this.#scalar();
        this.#space();
        this.#at++; // :
        const value = this.value(depth + 1);
        if (!value) return undefined;
        map.items.push(new Pair(key, value));
        if (this.#space() === ',') this.#at++;
      }
      this.#at++;
      map.range = [start, this.#at, this.#at];
      return map;
    }
    if (char === '[') {
      const list = new YAMLSeq();
      this.#at++;
      while (this.#space() !== ']') {
        const value = this.value(depth + 1);
        if (!value) return undefined;
        list.items.push(value);
        if (this.#space() === ',') this.#at++;
      }
      this.#at++;
      list.range = [start, this.#at, this.#at];
      return list;
    }
    return this.#scalar();
  }

  #scalar(): Scalar {
    const start = this.#at;
    if (this.text[start] === '"') {
      let end = start + 1;
      while (this.text[end] !== '"') end += this.text[end] === '\\' ? 2 : 1;
      this.#at = end + 1;
    } else {
      while (this.#at < this.text.length && !',]} \t\r\n'.includes(this.text.charAt(this.#at))) this.#at++;
    }
    const source = this.text.slice(start, this.#at);
    const scalar = new Scalar(JSON.parse(source));
    scalar.source = source;
    scalar.range = [start, this.#at, this.#at];
    return scalar;
  }
}
