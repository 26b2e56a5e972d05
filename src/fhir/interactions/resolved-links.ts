import type { Step } from './transaction-step.ts';

/** Which links of an entry's resource point to which resource. */
export interface ResolvedLinks {
  of(step: Step): ReadonlyMap<string, string>;
}

/**
 * R4 bundle.html#references: a link that is another entry's `fullUrl` (`urn:uuid:…`, `urn:oid:…`, or an absolute URL) means the resource of that entry. A relative link
 * `Patient/1` means it too when both `fullUrl`s stand under the same root, as in a copy of another server's content.
 */
export function resolvedLinks(
  entries: readonly { readonly step: Step; readonly id: string | null }[],
): ResolvedLinks {
  const absolute = new Map<string, string>();
  const byRoot = new Map<string, Map<string, string>>();
  for (const { step, id } of entries) {
    if (step.fullUrl === null || id === null) continue;
    const became = `${step.type}/${id}`;
    absolute.set(step.fullUrl, became);
    const [, root = '', relative = ''] = RESTFUL.exec(step.fullUrl) ?? [];
    if (root === '' || relative === became) continue;
    const under = byRoot.get(root) ?? new Map<string, string>();
    byRoot.set(root, under.set(relative, became));
  }
  return {
    of({ fullUrl }) {
      const root = fullUrl === null ? undefined : RESTFUL.exec(fullUrl)?.[1];
      const under = root === undefined ? undefined : byRoot.get(root);
      return under ? new Map([...absolute, ...under]) : absolute;
    },
  };
}

/** R4 references.html#literal */
const RESTFUL = /^(https?:\/\/.+)\/([A-Z][A-Za-z]+\/[A-Za-z0-9\-.]{1,64})$/;
