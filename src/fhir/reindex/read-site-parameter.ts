import type { SearchParameter } from '@medplum/fhirtypes';
import { Failure } from '../../kernel/errors.ts';
import { definitions, type PublishedParameter } from '../definitions/definitions.ts';
import { checkExpression } from './check-expression.ts';

/** Types one parameter may be for; each makes every write of that type dearer. */
export const SITE_PARAMETER_TYPES_MAX = 30;

/** What a site's parameter is, as far as the index cares: the same text, the same index entries. */
export type SiteDefinition = PublishedParameter & { readonly expression: string };

const KINDS = ['number', 'date', 'string', 'token', 'reference', 'quantity', 'uri'] as const;

/**
 * R4 searchparameter.html: what an active SearchParameter asks this server to do. Null: nothing, since it is not active, or is one that this
 * server answers anyway. Throws `fhir.invalid` or `fhir.unsupported` for one that it cannot answer.
 */
export function readSiteParameter(resource: SearchParameter): SiteDefinition | null {
  if (resource.status !== 'active') return null;
  const published = definitions().searchParameters;
  if (published.some(({ url }) => url === resource.url)) return null;
  const { code, type, expression, target, url } = resource;
  const base: readonly string[] = resource.base ?? [];
  if (base.length > 0 && base.every((one) => isPublished(one, code))) return null;
  if (!/^[a-z][A-Za-z0-9-]{0,63}$/.test(code)) {
    throw invalid('code', 'A code is letters, digits and hyphens, and begins with a small letter.');
  }
  const kind = KINDS.find((one) => one === type);
  if (!kind) {
    throw new Failure(
      'fhir.unsupported',
      `A search parameter of type ${type} cannot be added to this server.`,
    );
  }
  if (
    base.length > SITE_PARAMETER_TYPES_MAX ||
    base.some((one) => !definitions().resourceTypes.includes(one))
  )
    throw invalid('base', `Name the resource types, ${SITE_PARAMETER_TYPES_MAX} at most; Resource is none.`);
  const taken = base.find((one) => isPublished(one, code));
  if (taken) throw invalid('code', `${taken} has a search parameter of this code in R4.`);
  if (!expression) throw invalid('expression', 'An active search parameter needs an expression.');
  checkExpression(expression, base);
  return { code, base: [...base], type: kind, expression, target: target ?? [], url: url ?? '' };
}

const isPublished = (type: string, code: string): boolean =>
  definitions().searchParameters.some(
    (parameter) =>
      parameter.code === code &&
      [type, 'Resource', 'DomainResource'].some((one) => parameter.base.includes(one)),
  );

const invalid = (element: string, text: string): Failure =>
  new Failure('fhir.invalid', text, { issues: [{ at: `SearchParameter.${element}`, text }] });
