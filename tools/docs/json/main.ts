/** docs/json: what each verb prints with `--json`, as JSON Schemas (draft 2020-12), one file per output and version. */
import * as z from 'zod';
import { desk } from './desk.ts';
import { machine } from './machine.ts';

export const outputs: Readonly<Record<string, readonly [by: string, schema: z.ZodObject]>> = {
  ...desk,
  ...machine,
};

const versionOf = (schema: z.ZodObject): number => (schema.shape.schema as z.ZodLiteral<number>).value;

export const fileOf = (name: string): string => {
  const output = outputs[name];
  if (output === undefined) throw new Error(`there is no output ${name}`);
  return `json/${name}.v${versionOf(output[1])}.schema.json`;
};

/** Below docs/, with the page that lists them. */
export function jsonDocuments(): Record<string, string> {
  const files = Object.entries(outputs).map(([name, [by, schema]]) => {
    // As input: fields may be added within a version, so a reader must accept those it does not know.
    const document = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
    return [fileOf(name), `${JSON.stringify({ ...document, title: by }, null, 2)}\n`] as const;
  });
  const rows = Object.entries(outputs).map(([name, [by]]) => {
    const file = fileOf(name).replace('json/', '');
    return `| ${by} | [${file}](${file}) |`;
  });
  const page = `# JSON

Written by \`npm run docs\` from \`tools/docs/json/\`; do not edit.

What each verb prints with \`--json\`. The number in \`schema\` is the version of the output. Fields may be added
within a version, so ignore those you do not know; a field that is removed or changes its meaning raises the
version. Times are UTC, sizes are bytes. A verb that fails before it has a result prints \`error\`.

| Printed by | Schema |
|---|---|
${rows.join('\n')}
`;
  return { ...Object.fromEntries(files), 'json/README.md': page };
}
