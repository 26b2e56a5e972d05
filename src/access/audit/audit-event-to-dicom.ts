import type { AuditEvent, AuditEventAgent, AuditEventEntity, Coding } from '@medplum/fhirtypes';

/**
 * DICOM audit message (PS3.15 A.5.1) of an AuditEvent: what an IHE ATNA audit record repository takes (ITI TF-2 3.20). Times, codes and identifiers
 * are the same as in the AuditEvent.
 */
export function auditEventToDicom(event: AuditEvent): string {
  const [type, ...others] = [event.type, ...(event.subtype ?? [])];
  const identification = element(
    'EventIdentification',
    {
      EventActionCode: event.action,
      EventDateTime: event.recorded,
      EventOutcomeIndicator: event.outcome,
    },
    [
      code('EventID', type as Coding),
      ...others.map((one) => code('EventTypeCode', one)),
      ...(event.outcomeDesc
        ? [`<EventOutcomeDescription>${xmlText(event.outcomeDesc)}</EventOutcomeDescription>`]
        : []),
      ...(event.purposeOfEvent ?? []).flatMap(({ coding = [] }) =>
        coding.map((one) => code('PurposeOfUse', one)),
      ),
    ],
  );
  const source = element(
    'AuditSourceIdentification',
    { AuditSourceID: event.source.observer.display ?? 'Prelim' },
    [element('AuditSourceTypeCode', { 'csd-code': '4' }, [])],
  );
  return `<?xml version="1.0" encoding="UTF-8"?>${element('AuditMessage', {}, [
    identification,
    ...event.agent.map(participant),
    source,
    ...(event.entity ?? []).map(objectOf),
  ])}`;
}

function participant({ who, altId, requestor, network, type, role }: AuditEventAgent): string {
  return element(
    'ActiveParticipant',
    {
      UserID: who?.reference ?? who?.identifier?.value ?? who?.display ?? 'unknown',
      AlternativeUserID: altId,
      UserIsRequestor: String(requestor),
      NetworkAccessPointID: network?.address,
      NetworkAccessPointTypeCode: network?.type,
    },
    [
      ...(type?.coding ?? []).map((one) => code('RoleIDCode', one)),
      ...(role ?? []).map(({ text }) => code('RoleIDCode', { system: 'prelim-role', code: String(text) })),
    ],
  );
}

function objectOf({ what, type, role, query, detail }: AuditEventEntity): string {
  const isQuery = query !== undefined;
  return element(
    'ParticipantObjectIdentification',
    {
      ParticipantObjectID:
        what?.reference ?? what?.identifier?.value ?? what?.display ?? (isQuery ? 'query' : 'detail'),
      ParticipantObjectTypeCode: /^\d+$/.test(type?.code ?? '') ? type?.code : '4',
      ParticipantObjectTypeCodeRole: role?.code,
    },
    [
      // RFC 3881 5.5.4: 2 patient number, 10 search criteria, 12 URI.
      code('ParticipantObjectIDTypeCode', {
        system: 'RFC-3881',
        ...(type?.code === '1'
          ? { code: '2', display: 'Patient Number' }
          : isQuery
            ? { code: '10', display: 'Search Criteria' }
            : { code: '12', display: 'URI' }),
      }),
      ...(isQuery ? [`<ParticipantObjectQuery>${xmlText(query)}</ParticipantObjectQuery>`] : []),
      ...(detail ?? []).map((one) =>
        element(
          'ParticipantObjectDetail',
          { type: one.type, value: Buffer.from(one.valueString ?? '').toString('base64') },
          [],
        ),
      ),
    ],
  );
}

const SYSTEMS: Readonly<Record<string, string>> = {
  'http://dicom.nema.org/resources/ontology/DCM': 'DCM',
};

const code = (name: string, { system = '', code: value, display }: Coding): string =>
  element(
    name,
    { 'csd-code': value, codeSystemName: SYSTEMS[system] ?? system, originalText: display ?? value },
    [],
  );

function element(
  name: string,
  attributes: Readonly<Record<string, string | undefined>>,
  children: readonly string[],
): string {
  const printed = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${xmlText(value as string)}"`)
    .join('');
  return children.length === 0 ? `<${name}${printed}/>` : `<${name}${printed}>${children.join('')}</${name}>`;
}

/** XML 1.0 2.2 knows no control characters but three, not even escaped. */
const xmlText = (text: string): string =>
  text
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what XML cannot hold
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\uFFFD')
    .replace(/[&<>"']/g, (one) => `&#${one.charCodeAt(0)};`)
    .replace(/[\t\r\n]/g, (one) => `&#${one.charCodeAt(0)};`);
