import { installPeer, runPeer } from './peer.js';

export const installConftest = (say: (line: string) => void): Promise<boolean> =>
  installPeer('conftest', 'github.com/open-policy-agent/conftest@v0.69.0', 'ten minutes', say);

/** How many complaints it has of files. One that it cannot read is one, too. */
export async function conftest(root: string, files: string[], parser: string, namespaces: string[]): Promise<number> {
  const chosen = namespaces.flatMap((each) => ['--namespace', each]);
  const args = [
    'test',
    '--parser',
    parser,
    '--policy',
    'policy',
    ...chosen,
    '--no-color',
    '--output',
    'json',
    ...files,
  ];
  const { code, stdout, stderr } = await runPeer('conftest', args, root);
  if (code === 0 || (code === 1 && stdout.trim() !== '')) {
    const results = JSON.parse(stdout) as { failures?: unknown[] }[];
    return results.reduce((sum, { failures }) => sum + (failures?.length ?? 0), 0);
  }
  if (/pars(e|er|ing)/i.test(stderr)) return 1;
  throw new Error(stderr || stdout);
}

/** Five of the guard's rules as somebody who knows Rego writes them in an hour, by the rule's id. */
export const policies: Record<string, { parser: string; files: RegExp; rego: string }> = {
  'ci/no-steps': {
    parser: 'yaml',
    files: /\.ya?ml$/,
    rego: `deny contains msg if {
	some id, job in input.jobs
	not job.uses
	not has_steps(job)
	msg := sprintf("job %s has no steps", [id])
}
has_steps(job) if count(job.steps) > 0
`,
  },
  'ci/host-key': {
    parser: 'yaml',
    files: /\.ya?ml$/,
    rego: `deny contains msg if {
	walk(input, [_, text])
	is_string(text)
	some line in split(text, "\\n")
	not startswith(trim_space(line), "#")
	regex.match(\`(?i)(stricthostkeychecking[= ](no|off)|userknownhostsfile[= ]/dev/null)\`, line)
	msg := sprintf("any host is taken: %s", [line])
}
`,
  },
  'ci/uses-version': {
    parser: 'yaml',
    files: /\.ya?ml$/,
    rego: `used contains job.uses if some job in input.jobs
used contains step.uses if {
	some job in input.jobs
	some step in job.steps
}
deny contains msg if {
	some uses in used
	not startswith(uses, "./")
	not startswith(uses, "docker://")
	not contains(uses, "\${{")
	not has_version(uses)
	msg := sprintf("%s has no version", [uses])
}
has_version(uses) if {
	parts := split(uses, "@")
	count(parts) > 1
	not parts[count(parts) - 1] in {"", "main", "master", "develop", "dev", "trunk", "latest", "HEAD"}
}
`,
  },
  'bot/mcp-invalid': {
    parser: 'json',
    files: /\.mcp\.json$/,
    rego: `schema := object.get(input, "input_schema", {})
deny contains "no object" if not is_object(input)
deny contains "no name" if not is_string(object.get(input, "name", null))
deny contains "not the name of its file" if input.name != trim_suffix(data.conftest.file.name, ".mcp.json")
deny contains "no description" if object.get(input, "description", "") in {"", null}
deny contains "no type" if object.get(schema, "type", "") != "object"
deny contains "no properties" if not is_object(object.get(schema, "properties", null))
deny contains "no required" if not is_array(object.get(schema, "required", null))
deny contains "required names one twice" if count(schema.required) != count({each | some each in schema.required})
deny contains msg if {
	some name, property in schema.properties
	some key in ["type", "description"]
	not is_string(object.get(property, key, null))
	msg := sprintf("%s has no %s", [name, key])
}
deny contains msg if {
	some name, property in schema.properties
	not is_object(property)
	msg := sprintf("%s is no object", [name])
}
deny contains msg if {
	some name, property in schema.properties
	property.type == "array"
	msg := sprintf("%s is an array", [name])
}
deny contains msg if {
	some name in schema.required
	not name in object.keys(schema.properties)
	msg := sprintf("%s is no property", [name])
}
`,
  },
  'unit/botserver-url': {
    parser: 'ini',
    files: /\.(service|conf)$/,
    rego: `is_ui if data.conftest.file.name in {"ui.service", "botui.service"}
is_ui if contains(input.Service.ExecStart, "/botui")
is_set if regex.match(\`(^|[ "'])BOTSERVER_URL=http://localhost:5858/?($|[ "'])\`, input.Service.Environment)
deny contains "botui needs BOTSERVER_URL=http://localhost:5858" if {
	is_ui
	not is_set
}
`,
  },
};

/** As a package of Rego. */
export const packageOf = (rule: string) => rule.replace(/\W/g, '_');
