/** What the action says before and while it does something; what it says afterwards is enough. */
const passing = /(^(?!.*putting back).* \.\.\.$)|:\s+\d+ % of /;

/** Of the groups, which a runner folds, the one that tells why a release failed. */
const tellingGroup = /^Journal|: Journal/;

/** Speaks to whoever watches, and remembers which promises were kept. */
export class Narrator {
  verbose = false;
  #promises = [];
  #group;

  print = (text) => console.log(text);

  /** How the terminal wants its pictures. */
  get terminal() {
    const { LC_ALL, LC_CTYPE, LANG, NO_COLOR } = process.env;
    return {
      unicode: /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || ''),
      color: Boolean(process.stdout.isTTY) && !NO_COLOR,
    };
  }

  opening() {
    this.print(`action-deploy, on parts that come with this demo.

The target is an SSH server on 127.0.0.1 over a temp folder. What the action does there is real: it uploads, locks,
hashes, links, renames and restarts; the service is a real process, and its binary a real ELF program. In the place of
systemd there is a small service manager, because the demo needs no root. The action runs as in a runner: its bundle,
its inputs. Its own log lines are indented${this.verbose ? '.' : '; --verbose shows all of them.'}`);
  }

  act(title) {
    this.print(`\n== ${title}\n`);
  }

  /** One line of the action's log: all of them with --verbose, else those that tell the story. */
  log = (line) => {
    const title = /^::group::(.*)$/.exec(line)?.[1];
    this.#group = title ?? this.#group;
    if (line === '::endgroup::') this.#group = undefined;
    else if (this.verbose || (this.#group ? tellingGroup.test(this.#group) : !passing.test(line))) {
      this.print(`    ${title === undefined && this.#group ? '  ' : ''}${title ?? line}`);
    }
  };

  promise(what, kept) {
    this.#promises.push({ what, kept });
    this.print(`  ${kept ? 'Kept' : 'NOT KEPT'}: ${what}.`);
  }

  /** The exit code. */
  verdict() {
    const broken = this.#promises.filter(({ kept }) => !kept);
    for (const { what } of broken) this.print(`This did not go as promised: ${what}.`);
    if (broken.length === 0) this.print('\nEvery act went as promised. The target and its folder are gone again.');
    return broken.length === 0 ? 0 : 1;
  }
}
