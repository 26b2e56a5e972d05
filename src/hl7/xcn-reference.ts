import type { HumanName, Practitioner, Reference } from '@medplum/fhirtypes';
import { PRELIM } from '../kernel/code-systems.ts';
import { authorityOfIdentifier, authorityToIdentifier } from './assigning-authority.ts';
import type { Hl7Repetition, Repetition } from './codec.ts';
import { withoutControls } from './control-characters.ts';

/**
 * XCN (id, family, given, further given, suffix, prefix, …, authority) ↔ a FHIR reference to somebody who is no resource here. A
 * Reference has room for the name as one text only, out of which family and given cannot be told again; so the parts are
 * kept in an extension, and an order's requester goes back as he came.
 */

/** `facility` names the authority of an id that names none. Null for an empty XCN. */
export function xcnToReference(xcn: Hl7Repetition | undefined, facility: string): Reference | null {
  if (xcn === undefined) return null;
  const at = (component: number, subcomponent = 1) => filled(xcn.get(component, subcomponent));
  const value = at(1);
  const name = nameOf({ family: at(2), given: [at(3), at(4)], suffix: at(5), prefix: at(6) });
  if (value === '' && name === null) return null;
  const authority = { namespace: at(9), universalId: at(9, 2), universalIdType: at(9, 3) };
  const { extension, ...named } = authorityToIdentifier('person', authority, facility);
  return {
    ...(name ? { extension: [{ url: PERSON_NAME, valueHumanName: name }] } : {}),
    ...(value ? { identifier: { ...(extension ? { extension } : {}), ...named, value } } : {}),
    ...(name ? { display: displayOf(name) } : {}),
  };
}

/** A name that is only there as one text stays in one piece, in the family name: where it parts nobody knows. */
export function referenceToXcn(reference: Reference | undefined): Repetition {
  if (reference === undefined) return '';
  const { identifier, display = '' } = reference;
  const name = reference.extension?.find((one) => one.url === PERSON_NAME)?.valueHumanName ?? {
    family: display,
  };
  const [given = '', ...further] = name.given ?? [];
  const authority = authorityOfIdentifier(identifier);
  const subcomponents = [authority.namespace, authority.universalId, authority.universalIdType];
  const names = [name.family ?? '', given, further.join(' '), name.suffix?.[0] ?? '', name.prefix?.[0] ?? ''];
  return [identifier?.value ?? '', ...names, '', '', { subcomponents }];
}

/** The reference with the number and the name of the person it leads to. */
export function namedReference<R extends Reference>(reference: R, person: Practitioner): R {
  const name = person.name?.find(({ use }) => use === 'official') ?? person.name?.[0];
  const identifier = person.identifier?.find((one) => one.value !== undefined && one.use !== 'old');
  const display = reference.display ?? name?.text ?? (name ? displayOf(name) : undefined);
  const isParted = name?.family !== undefined || name?.given !== undefined;
  return {
    ...reference,
    ...(isParted ? { extension: [{ url: PERSON_NAME, valueHumanName: name }] } : {}),
    ...(identifier ? { identifier } : {}),
    ...(display ? { display } : {}),
  };
}

/** HumanName: the parts of a person's name, beside the one text of `Reference.display`. */
const PERSON_NAME = `${PRELIM}/StructureDefinition/person-name`;

interface NameParts {
  readonly family: string;
  readonly given: readonly string[];
  readonly suffix: string;
  readonly prefix: string;
}

function nameOf({ family, given, suffix, prefix }: NameParts): HumanName | null {
  const known = given.filter((part) => part !== '');
  if (family === '' && known.length === 0 && prefix === '') return null;
  return {
    ...(family ? { family } : {}),
    ...(known.length > 0 ? { given: known } : {}),
    ...(prefix ? { prefix: [prefix] } : {}),
    ...(suffix ? { suffix: [suffix] } : {}),
  };
}

const displayOf = ({ prefix = [], given = [], family = '' }: HumanName): string =>
  [...prefix, ...given, family].filter((part) => part !== '').join(' ');

/** The delete mark `""` counts as empty; control characters, for which FHIR has no place, are left out. */
const filled = (text: string): string => (text === '""' ? '' : withoutControls(text).trim());
