/** The longest value that is looked at; what people write has ten characters. */
const LONGEST = 200;

const parts: [RegExp, string][] = [
  [/(?<=[\d\s])(?:days?|da|dd?)\b/gi, '*86400'],
  [/(?<=[\d\s])(?:weeks?|wee?|ww?)\b/gi, '*604800'],
  [/(?<=[\d\s])(?:months?|mon?)\b/gi, '*2629800.0'],
  [/(?<=[\d\s])(?:years?|yea?|yy?)\b/gi, '*31557600.0'],
  [/(?<=[\d\s])(?:seconds?|sec?|ss?)\b/gi, '*1'],
  [/(?<=[\d\s])(?:minutes?|min?|mm?)\b/gi, '*60'],
  [/(?<=[\d\s])(?:hours?|hou?|hh?)\b/gi, '*3600'],
];

/** Seconds of a fail2ban duration such as `1h 30m`, as its `--str2sec` counts them; undefined when it can make nothing of it. */
export function seconds(value: string): number | undefined {
  if (value.length > LONGEST) return undefined;
  let text = value.replace(/(?<=[a-z])(\d)/gi, ' $1');
  for (const [pattern, replacement] of parts) text = text.replace(pattern, replacement);
  text = text.replace(/(\d)\s+(\d)/g, '$1+$2');
  // It is evaluated as Python, where a hash begins a comment.
  const hash = text.indexOf('#');
  return sum(hash < 0 ? text : text.slice(0, hash));
}

/** The value of a sum of products, as Python would count it. */
function sum(text: string): number | undefined {
  const tokens = text.match(/\d+(?:\.\d*)?|\.\d+|[-+*/()]|\s+|[\s\S]/g)?.filter((token) => token.trim() !== '') ?? [];
  let at = 0;
  let depth = 0;
  const fail = Symbol('no number');
  const atom = (): number => {
    const token = tokens[at++] ?? '';
    if (++depth > LONGEST) throw fail;
    if (token === '-') return -atom();
    if (token === '+') return atom();
    if (token === '(') {
      const inner = terms();
      if (tokens[at++] !== ')') throw fail;
      return inner;
    }
    // Python takes 00 for a number, and 08 for a mistake.
    if (!/^(?:\d+\.\d*|\.\d+|0+|[1-9]\d*)$/.test(token)) throw fail;
    return Number(token);
  };
  const product = (): number => {
    let value = atom();
    while (tokens[at] === '*' || tokens[at] === '/') {
      const operator = tokens[at++];
      const next = atom();
      if (operator === '/' && next === 0) throw fail;
      value = operator === '*' ? value * next : value / next;
    }
    return value;
  };
  const terms = (): number => {
    let value = product();
    while (tokens[at] === '+' || tokens[at] === '-') value += tokens[at++] === '+' ? product() : -product();
    return value;
  };
  try {
    const value = terms();
    return at === tokens.length ? value : undefined;
  } catch (thrown) {
    if (thrown !== fail) throw thrown;
    return undefined;
  }
}
