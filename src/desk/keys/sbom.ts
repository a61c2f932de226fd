/** What is in a release, as a bill of materials in CycloneDX’s form: every store path, and what it refers to. */
import { createHash } from 'node:crypto';
import { ComponentType } from '@cyclonedx/cyclonedx-library/Enums';
import { Bom, Component, Property, Tool } from '@cyclonedx/cyclonedx-library/Models';
import { JSON as Json, JsonSerializer } from '@cyclonedx/cyclonedx-library/Serialize';
import { Spec1dot6 } from '@cyclonedx/cyclonedx-library/Spec';
import type { SignedIndex } from '../../bundle/release.ts';
import { splitDrvName } from '../../core/nix-version.ts';
import { nameOf, toBaseName } from '../../core/store-path.ts';

/** The same release gives the same bytes. @param digest the manifest’s, hexadecimal */
export function sbomOf({ manifest, index }: SignedIndex, digest: string, version: string): string {
  const components = Array.from({ length: index.length }, (_, line) => componentOf(index, line));
  for (const [line, component] of components.entries())
    for (const reference of index.line(line).references)
      if (reference !== line) component.dependencies.add((components[reference] as Component).bomRef);
  const bom = new Bom({ version: 1, serialNumber: serialOf(digest) });
  const root = components.at(-1) as Component;
  const { host, sequence, system, createdAt, content, flake } = manifest;
  const subject = new Component(ComponentType.OperatingSystem, host, {
    bomRef: `${host}@${sequence}`,
    version: String(sequence),
    description: flake?.description,
  });
  subject.dependencies.add(root.bomRef);
  const said = { manifest: digest, system, content, revision: flake?.revision };
  for (const [name, value] of Object.entries(said))
    if (value !== undefined) subject.properties.add(new Property(`nixmaker:${name}`, value));
  bom.metadata.component = subject;
  bom.metadata.timestamp = new Date(createdAt);
  bom.metadata.tools.tools.add(new Tool({ name: 'nixmaker', version }));
  for (const component of components) bom.components.add(component);
  const serializer = new JsonSerializer(new Json.Normalize.Factory(Spec1dot6));
  return `${serializer.serialize(bom, { sortLists: true, space: 1 })}\n`;
}

function componentOf(index: SignedIndex['index'], line: number): Component {
  const { path, narHash, narSize } = index.line(line);
  const { name, version } = splitDrvName(nameOf(path));
  const component = new Component(ComponentType.Library, name, {
    bomRef: toBaseName(path),
    ...(version === '' ? {} : { version }),
  });
  // Of the NAR and not of any file, so it is not among the hashes.
  for (const [key, value] of [
    ['storePath', path],
    ['narHash', `sha256:${narHash}`],
    ['narSize', String(narSize)],
  ] as const)
    component.properties.add(new Property(`nix:${key}`, value));
  return component;
}

/** A UUID made of the digest (RFC 9562 §5.8, version 8). */
function serialOf(digest: string): string {
  const bytes = createHash('sha256').update(`nixmaker sbom ${digest}`).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex');
  return `urn:uuid:${[hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')}`;
}
