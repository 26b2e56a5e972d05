/**
 * Writes `docs/fhir-profiles.md` and the package's `.index.json` out of the files in `fhir-profiles/`: `node scripts/profile-page.ts`. A spec holds both against
 * the files.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type {
  ElementDefinition,
  OperationDefinition,
  Resource,
  StructureDefinition,
} from '@medplum/fhirtypes';

/** The page for a package's resources. */
export function profilePage(resources: readonly Resource[]): string {
  const profiles = resources.filter(
    (one): one is StructureDefinition => one.resourceType === 'StructureDefinition',
  );
  const operations = resources.filter(
    (one): one is OperationDefinition => one.resourceType === 'OperationDefinition',
  );
  const resourceProfiles = profiles.filter((one) => one.kind === 'resource');
  const extensions = profiles.filter((one) => one.kind !== 'resource');
  return `${[
    '# FHIR profiles we publish',
    INTRODUCTION,
    table(
      ['Profile', 'of', 'for'],
      profiles.map((one) => [`[${one.id}](#${one.id})`, one.type, one.title ?? '']),
    ),
    ...resourceProfiles.map(profileText),
    ...extensions.map(profileText),
    ...operations.map(operationText),
  ].join('\n\n')}\n`;
}

const INTRODUCTION = `The folder \`fhir-profiles/\` is a FHIR package (R4, \`package.json\` beside the resources). The server loads it at start, enforces a profile on
every resource that names it in \`meta.profile\`, and keeps its definitions in the store, where they are read and searched like any other resource
(\`GET /fhir/StructureDefinition?url=…\`). The definitions are differentials; tools make snapshots of them. The canonical URLs identify and do not resolve in the web: ask a server for them. Of the
code systems that the profiles fix codes of, \`task\` is in the package; \`finding\` and \`refusal\` are in \`terminology/\`, and in the store. What the server writes conforms to them, and a test holds it
to that. This page is made from the files by \`node scripts/profile-page.ts\`.`;

function profileText(profile: StructureDefinition): string {
  const elements = profile.differential?.element ?? [];
  return [
    `## ${profile.id}`,
    `**${profile.title}** · \`${profile.url}\` · version ${profile.version} · on ${shortName(profile.baseDefinition ?? '')}`,
    profile.description,
    table(
      ['Element', 'Card.', 'Demands', 'Meaning'],
      elements.slice(1).map((one) => [`\`${one.id}\``, cardinality(one), demands(one), one.short ?? '']),
    ),
    ...rules(elements),
  ].join('\n\n');
}

const shortName = (url: string): string => url.slice(url.lastIndexOf('/') + 1);

const cardinality = ({ min, max }: ElementDefinition): string =>
  min === undefined && max === undefined ? '' : `${min ?? ''}..${max ?? ''}`;

function demands(element: ElementDefinition): string {
  const parts: string[] = [];
  if (element.mustSupport) parts.push('must support');
  if (element.slicing)
    parts.push(
      `sliced by ${(element.slicing.discriminator ?? []).map((one) => `${one.type} of ${one.path}`).join(', ')}`,
    );
  if (element.type)
    parts.push(
      element.type
        .map(({ code, profile, targetProfile }) => {
          const of = [...(profile ?? []), ...(targetProfile ?? [])].map(shortName).join(', ');
          return of === '' ? code : `${code}(${of})`;
        })
        .join(' or '),
    );
  for (const [key, value] of Object.entries(element)) {
    if (/^(fixed|pattern)/.test(key)) parts.push(`= ${valueText(value)}`);
  }
  return parts.join('; ');
}

function valueText(value: unknown): string {
  if (typeof value !== 'object' || value === null) return `\`${String(value)}\``;
  const { coding, type, system } = value as {
    coding?: { system?: string; code?: string }[];
    type?: unknown;
    system?: string;
  };
  if (!coding) return type ? `type ${valueText(type)}` : `system \`${system}\``;
  return coding.map(({ system, code }) => `\`${system}#${code}\``).join(' + ');
}

function rules(elements: readonly ElementDefinition[]): string[] {
  const all = elements.flatMap((one) =>
    (one.constraint ?? []).map((rule) => ({ ...rule, path: one.id ?? '' })),
  );
  return all.length === 0
    ? []
    : [
        table(
          ['Rule', 'on', 'says', 'FHIRPath'],
          all.map((one) => [one.key ?? '', `\`${one.path}\``, one.human ?? '', `\`${one.expression}\``]),
        ),
      ];
}

function operationText(operation: OperationDefinition): string {
  return [
    `## ${(operation.resource ?? []).join(', ')}/$${operation.code}`,
    `**${operation.title}** · \`${operation.url}\` · version ${operation.version}`,
    operation.description,
    table(
      ['Parameter', 'Use', 'Card.', 'Type', 'Meaning'],
      (operation.parameter ?? []).map((one) => [
        `\`${one.name}\``,
        one.use ?? '',
        `${one.min}..${one.max}`,
        one.type ?? '',
        one.documentation ?? '',
      ]),
    ),
  ].join('\n\n');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replace(/\|/g, '\\|')).join(' | ')} |`;
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n');
}

/** FHIR NPM package specification, "index": what a loader finds without opening each file. */
export function packageIndex(resources: readonly Resource[]): string {
  const files = resources.map((one) => {
    const { resourceType, id, url, version, kind, type: said } = one as StructureDefinition;
    // An OperationDefinition has a `type` too, which is a boolean: loaders read texts.
    const type = typeof said === 'string' ? said : undefined;
    return { filename: `${resourceType}-${id}.json`, resourceType, id, url, version, kind, type };
  });
  return `${JSON.stringify({ 'index-version': 2, files }, null, 2)}\n`;
}

if (process.argv[1]?.endsWith('profile-page.ts')) {
  const folder = join(import.meta.dirname, '../fhir-profiles');
  const resources = readdirSync(folder)
    .filter((name) => /^[A-Z].*\.json$/.test(name))
    .sort()
    .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Resource);
  writeFileSync(join(import.meta.dirname, '../docs/fhir-profiles.md'), profilePage(resources));
  writeFileSync(join(folder, '.index.json'), packageIndex(resources));
}
