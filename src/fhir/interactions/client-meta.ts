import type { Coding, Meta, Resource } from '@medplum/fhirtypes';
import { CODE_SYSTEMS } from '../../kernel/code-systems.ts';
import { Failure } from '../../kernel/errors.ts';
import { copyWith } from '../resource-json.ts';

/**
 * What of `meta` a client may write (R4 resource.html#Meta leaves the rule to the server). versionId and lastUpdated are the server's, whoever writes;
 * `source` too, since it says where the server got the content from. Security labels can be added and not taken away: who may see the resource
 * hangs on them. Tags of our own system are the server's; others, and profiles, are as sent. `$meta-add` and `$meta-delete` are the way to change labels.
 */
export function mergeMeta(sent: Meta | undefined, previous: Meta | undefined): Meta | undefined {
  if (!sent && !previous) return undefined;
  const { source: _, security, tag, ...rest } = sent ?? {};
  const labels = union(previous?.security, security);
  const tags = [...(previous?.tag ?? []).filter(isOwn), ...(tag ?? []).filter((one) => !isOwn(one))];
  return {
    ...rest,
    ...(previous?.source === undefined ? {} : { source: previous.source }),
    ...(labels.length > 0 ? { security: labels } : {}),
    ...(tags.length > 0 ? { tag: tags } : {}),
  };
}

/** For what brings whole resources along, meta and all: only the labels that are there stay. */
export function keepLabels(sent: Meta | undefined, previous: Meta | undefined): Meta | undefined {
  if (!previous?.security?.length) return sent;
  return { ...sent, security: union(previous.security, sent?.security) };
}

/** The resource of a create with the meta that its client may write. */
export function withClientMeta<T extends Resource>(sent: T): T {
  if (!sent.meta?.source && !sent.meta?.tag?.some(isOwn)) return sent;
  const meta = mergeMeta(sent.meta, undefined) ?? {};
  const copy = copyWith(sent, { meta } as Partial<T>);
  // Empty objects are not allowed in FHIR JSON.
  if (Object.keys(meta).length === 0) delete copy.meta;
  return copy;
}

/**
 * Throws `fhir.validation` for an element of `meta` that R4 does not have: our definitions package knows some more (`compartment`, `project`), by
 * which another server decides who may see a resource.
 */
export function checkMetaElements({ meta, resourceType }: Resource): void {
  const foreign = Object.keys(typeof meta === 'object' ? (meta ?? {}) : {}).find((key) => !R4_META.has(key));
  if (foreign === undefined) return;
  const issue = {
    text: 'FHIR R4 has no such element of meta.',
    at: `${resourceType}.meta`,
    type: 'structure',
  };
  throw new Failure('fhir.validation', 'The meta has an element that FHIR R4 does not know.', {
    issues: [issue],
  });
}

/** R4 resource.html#Meta; the underscored ones hold extensions of the primitives. */
const R4_META: ReadonlySet<string> = new Set([
  'id',
  'extension',
  ...['versionId', 'lastUpdated', 'source', 'profile'].flatMap((name) => [name, `_${name}`]),
  'security',
  'tag',
]);

const isOwn = (tag: Coding): boolean => tag?.system === CODE_SYSTEMS.subscriptionTag;

function union(kept: readonly Coding[] | undefined, sent: readonly Coding[] | undefined): Coding[] {
  const known = new Set((kept ?? []).map(keyOf));
  return [...(kept ?? []), ...(sent ?? []).filter((one) => !known.has(keyOf(one)))];
}

const keyOf = ({ system, code }: Coding): string => `${system ?? ''}|${code ?? ''}`;
