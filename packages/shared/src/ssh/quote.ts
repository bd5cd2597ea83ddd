/**
 * One POSIX shell word: everything is literal between single quotes, and a single quote is closed, escaped and
 * reopened. Ours because the libraries for it also escape for other shells, or unquote plain words differently by version.
 */
export function shellQuote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
