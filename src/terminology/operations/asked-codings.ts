import type { Coding } from '@medplum/fhirtypes';
import { Failure } from '../../kernel/errors.ts';
import type { OperationParameters } from './operation-parameters.ts';

/** Codings of one CodeableConcept that are looked at. */
export const CODINGS_MAX = 100;

/**
 * The codes that an operation asks about: `code` with a system, a `coding`, or a `codeableConcept`; exactly one of the three. A system may be
 * missing where the operation can tell it otherwise.
 */
export function askedCodings(
  parameters: OperationParameters,
  names: { readonly code?: string; readonly system?: string; readonly version?: string } = {},
): Coding[] {
  const { code: codeName = 'code', system: systemName = 'system', version: versionName = 'version' } = names;
  const given = [codeName, 'coding', 'codeableConcept'].filter((name) => parameters.has(name));
  if (given.length !== 1)
    throw new Failure(
      'fhir.invalid',
      `Give one of ${codeName} (with ${systemName}), coding and codeableConcept.`,
    );
  const coding = parameters.coding('coding');
  if (coding) return [coding];
  const concept = parameters.codeableConcept('codeableConcept');
  if (concept) return (concept.coding ?? []).slice(0, CODINGS_MAX);
  const [code, system] = [parameters.text(codeName), parameters.text(systemName)];
  const [version, display] = [parameters.text(versionName), parameters.text('display')];
  return [
    {
      ...(code ? { code } : {}),
      ...(system ? { system } : {}),
      ...(version ? { version } : {}),
      ...(display ? { display } : {}),
    },
  ];
}
