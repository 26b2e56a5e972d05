/**
 * Regions of the body with the words that name them: values of BodyPartExamined (PS3.16 Annex L) and words of study and
 * series descriptions in English, German, French, Spanish and Italian. A value may name several regions (CHESTABDOMEN).
 */
const REGIONS: Readonly<Record<string, readonly string[]>> = {
  CHEST:
    words(`CHEST THORAX LUNG LUNGS RIB RIBS STERNUM CHESTABDOMEN CHESTABDPELVIS NECKCHEST NECKCHESTABDOMEN
    NECKCHESTABDPELV THORACIC THORACO CXR HRCT CAP TAP TORAX TORACE TORÁCICO LUNGE BRUSTKORB POUMON POUMONS THORACIQUE PULMONARY PULMON
    MEDIASTINUM TRUNK UPPERTRUNK`),
  HEART: words('HEART CARDIAC CORONARY CORONARIES HERZ COEUR CORAZON CUORE'),
  ABDOMEN:
    words(`ABDOMEN ABDOMINAL ABDOMENPELVIS CHESTABDOMEN CHESTABDPELVIS NECKCHESTABDOMEN NECKCHESTABDPELV LIVER KIDNEY
    PANCREAS SPLEEN LEBER BAUCH FOIE ADDOME CAP TAP COLON COLONOSCOPY COLONOGRAPHY TRUNK LOWERTRUNK`),
  PELVIS: words(
    `PELVIS ABDOMENPELVIS CHESTABDPELVIS NECKCHESTABDPELV HIP HIPS BECKEN BASSIN PELVI BLADDER PROSTATE CAP TAP LOWERTRUNK`,
  ),
  HEAD: words(`HEAD BRAIN SKULL HEADNECK CRANIUM CRANIAL SINUS SINUSES ORBIT ORBITS KOPF SCHÄDEL TETE CRANE CABEZA TESTA CEREBRAL
    NEURO`),
  NECK: words(
    'NECK HEADNECK NECKCHEST NECKCHESTABDOMEN NECKCHESTABDPELV CAROTID HALS COU CUELLO COLLO LARYNX THYROID',
  ),
  SPINE:
    words(`SPINE CSPINE TSPINE LSPINE SSPINE CTSPINE TLSPINE LSSPINE LUMBAR CERVICAL SACRUM VERTEBRA WIRBELSÄULE HWS BWS LWS RACHIS
    COLUMNA`),
  BREAST: words('BREAST MAMMO MAMMOGRAPHY MAMMA MAMA'),
  UPPER_LIMB:
    words(`ARM FOREARM UPPERARM UPPERLIMB HAND WRIST ELBOW SHOULDER FINGER THUMB HUMERUS RADIUS ULNA RADIUSULNA CLAVICLE SCAPULA
    SCHULTER ELLENBOGEN HANDGELENK EXTREMITY`),
  LOWER_LIMB:
    words(`LEG THIGH LOWERLEG LOWERLIMB KNEE ANKLE FOOT TOE FEMUR TIBIA FIBULA TIBIAFIBULA PATELLA CALCANEUS KNIE FUSS
    EXTREMITY`),
  WHOLE_BODY: words('WHOLEBODY'),
};

/** SNOMED CT codes of AnatomicRegionSequence (PS3.16 Annex L, and the older code of the thorax) → a word above. */
const SNOMED: Readonly<Record<string, string>> = {
  '816094009': 'CHEST',
  '51185008': 'CHEST',
  '39607008': 'LUNG',
  '416550000': 'CHESTABDOMEN',
  '416775004': 'CHESTABDPELVIS',
  '417437006': 'NECKCHEST',
  '416152001': 'NECKCHESTABDOMEN',
  '416319003': 'NECKCHESTABDPELV',
  '818981001': 'ABDOMEN',
  '818982008': 'ABDOMENPELVIS',
  '816092008': 'PELVIS',
  '69536005': 'HEAD',
  '12738006': 'BRAIN',
  '89546000': 'SKULL',
  '774007': 'HEADNECK',
  '45048000': 'NECK',
  '421060004': 'SPINE',
};

/** Regions that one value of BodyPartExamined names; none when it is in no list. */
export function regionsOf(bodyPart: string): ReadonlySet<string> {
  const exact = BY_WORD.get(bodyPart.toUpperCase().replaceAll(/[\s_-]/g, ''));
  return exact ?? regionsInText(bodyPart);
}

export function regionsOfSnomed(code: string): ReadonlySet<string> {
  const word = SNOMED[code];
  return word === undefined ? new Set() : regionsOf(word);
}

/** Regions that the words of a free text name. */
export function regionsInText(text: string): ReadonlySet<string> {
  const found = new Set<string>();
  for (const word of text.toUpperCase().split(/[^\p{L}]+/u)) {
    for (const region of BY_WORD.get(word) ?? []) found.add(region);
  }
  return found;
}

function words(text: string): readonly string[] {
  return text.trim().split(/\s+/);
}

const BY_WORD: ReadonlyMap<string, ReadonlySet<string>> = (() => {
  const table = new Map<string, Set<string>>();
  for (const [region, list] of Object.entries(REGIONS)) {
    for (const word of list) table.set(word, (table.get(word) ?? new Set()).add(region));
  }
  return table;
})();
