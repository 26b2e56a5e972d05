import type { AuditEvent } from '@medplum/fhirtypes';
import { auditEventToDicom } from './audit-event-to-dicom.ts';

export type SyslogFormat = 'dicom' | 'fhir';

/** Facility 10 (security), severity 5 (notice); 4 (warning) for what was refused or failed. RFC 5424 6.2.1. */
const priorityOf = ({ outcome }: AuditEvent): number => 10 * 8 + (outcome === '0' ? 5 : 4);

/**
 * One AuditEvent as a syslog message (RFC 5424 6) in the frame of syslog over TLS (RFC 5425 4.3: its length in octets, a blank, the message). Its
 * structured data name the event, so that a repository can tell what was sent twice.
 */
export function syslogFrame(event: AuditEvent, host: string, format: SyslogFormat): Buffer {
  const id = `[prelim@32473 event="${event.id}"]`;
  const kind = format === 'dicom' ? 'DICOM+RFC3881' : 'FHIR+AuditEvent';
  const text = format === 'dicom' ? auditEventToDicom(event) : JSON.stringify(event);
  const header = `<${priorityOf(event)}>1 ${event.recorded} ${hostOf(host)} prelim ${process.pid} ${kind} ${id} `;
  const message = Buffer.from(`${header}\uFEFF${text}`, 'utf8');
  return Buffer.concat([Buffer.from(`${message.length} `), message]);
}

/** RFC 5424 6: printable ASCII, 255 at most; `-` for none. */
const hostOf = (host: string): string => host.replace(/[^\x21-\x7e]/g, '').slice(0, 255) || '-';
