/** As the audit names who sent a message: MSH-3 and MSH-4. */
export const senderName = (application: string, facility: string): string => `HL7 ${application}|${facility}`;
