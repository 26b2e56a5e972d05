/**
 * Regions of the body with the words that name them: values of BodyPartExamined (PS3.16 Annex L) and words of study and
 * series descriptions in English, German, French, Spanish and Italian. A value may name several regions (CHESTABDOMEN).
 */
const REGIONS: Readonly<Record<string, readonly string[]>> = {
  CHEST:
    words(`CHEST THORAX LUNG LUNGS RIB RIBS STERNUM CHESTABDOMEN CHESTABDPELVIS NECKCHEST NECKCHESTABDOMEN
    NECKCHESTABDPELV THORACIC THORACO CXR HRCT CAP TAP TORAX TORACE TORÁCICO LUNGE BRUSTKORB POUMON POUMONS THORACIQUE PULMONARY PULMON
    MEDIASTINUM TRUNK UPPERTRUNK`),
  HEART: words('HEART CARDIAC CORONARY CORONARYARTERY CORONARIES HERZ COEUR CORAZON CUORE'),
  ABDOMEN:
    words(`ABDOMEN ABDOMINAL ABDOMENPELVIS CHESTABDOMEN CHESTABDPELVIS NECKCHESTABDOMEN NECKCHESTABDPELV LIVER KIDNEY
    PANCREAS SPLEEN LEBER BAUCH FOIE ADDOME CAP TAP STOMACH GALLBLADDER ADRENAL COLON COLONOSCOPY COLONOGRAPHY TRUNK LOWERTRUNK`),
  PELVIS: words(
    `PELVIS ABDOMENPELVIS CHESTABDPELVIS NECKCHESTABDPELV HIP HIPS UTERUS COCCYX SIJOINT RECTUM BECKEN BASSIN PELVI BLADDER PROSTATE CAP TAP LOWERTRUNK`,
  ),
  HEAD: words(`HEAD BRAIN SKULL HEADNECK CRANIUM CRANIAL SINUS SINUSES ORBIT ORBITS FACE FACIAL JAW MANDIBLE MAXILLA EYE NOSE ZYGOMA IAC TMJ CEREBELLUM KOPF SCHÄDEL TETE CRANE CABEZA TESTA CEREBRAL
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

/**
 * Words above with their codes in AnatomicRegionSequence: SNOMED CT (PS3.16 Annex L, CID 4009) and, for older devices, the SRT code of the
 * same concept.
 */
const CODES: Readonly<Record<string, readonly string[]>> = {
  ABDOMEN: ['818981001', 'T-D4000', '113345001'],
  ABDOMENPELVIS: ['818982008', 'R-FAB57', '416949008'],
  ADRENAL: ['23451007', 'T-B3000'],
  ANKLE: ['70258002', 'T-15750'],
  BLADDER: ['89837001', 'T-74000'],
  BRAIN: ['12738006', 'T-A0100'],
  BREAST: ['76752008', 'T-04000'],
  CALCANEUS: ['80144004', 'T-12770'],
  CAROTID: ['69105007', 'T-45010'],
  CEREBELLUM: ['113305005', 'T-A6000'],
  CHEST: ['816094009', 'T-D3000', '51185008'],
  CHESTABDOMEN: ['416550000', 'R-FAB55'],
  CHESTABDPELVIS: ['416775004', 'R-FAB56'],
  CLAVICLE: ['51299004', 'T-12310'],
  COCCYX: ['64688005', 'T-11BF0'],
  COLON: ['71854001', 'T-59300'],
  CORONARYARTERY: ['41801008', 'T-43000'],
  CSPINE: ['122494005', 'T-11501'],
  CTSPINE: ['1217257000', 'T-D00F7', '297171002'],
  ELBOW: ['16953009', 'T-15430'],
  EXTREMITY: ['66019005', 'T-D0300'],
  EYE: ['81745001', 'T-AA000'],
  FACE: ['89545001', 'T-D1200'],
  FEMUR: ['71341001', 'T-12710'],
  FIBULA: ['87342007', 'T-12750'],
  FINGER: ['7569003', 'T-D8800'],
  FOOT: ['56459004', 'T-D9700'],
  FOREARM: ['14975008', 'T-D8500'],
  GALLBLADDER: ['28231008', 'T-63000'],
  HAND: ['85562004', 'T-D8700'],
  HEAD: ['69536005', 'T-D1100'],
  HEADNECK: ['774007', 'T-D1000'],
  HEART: ['80891009', 'T-32000'],
  HIP: ['24136001', 'T-15710', 'T-D2500', '29836001'],
  HUMERUS: ['85050009', 'T-12410'],
  IAC: ['361078006', 'T-AB959'],
  JAW: ['661005', 'T-D1213'],
  KIDNEY: ['64033007', 'T-71000'],
  KNEE: ['72696002', 'T-D9200'],
  LARYNX: ['4596009', 'T-24100'],
  LIVER: ['10200004', 'T-62000'],
  LOWERLEG: ['30021000', 'T-D9400'],
  LOWERLIMB: ['61685007', 'T-D9000'],
  LSPINE: ['122496007', 'T-11503'],
  LSSPINE: ['1217253001', 'T-D00F9', '297173004'],
  LUNG: ['39607008', 'T-28000'],
  MANDIBLE: ['91609006', 'T-11180'],
  MAXILLA: ['70925003', 'T-11170'],
  MEDIASTINUM: ['72410000', 'T-D3300'],
  NECK: ['45048000', 'T-D1600'],
  NECKCHEST: ['417437006', 'R-FAB52'],
  NECKCHESTABDOMEN: ['416152001', 'R-FAB53'],
  NECKCHESTABDPELV: ['416319003', 'R-FAB54'],
  NOSE: ['45206002', 'T-21000'],
  ORBIT: ['363654007', 'T-D14AE'],
  PANCREAS: ['15776009', 'T-65000'],
  PATELLA: ['64234005', 'T-12730'],
  PELVIS: ['816092008', 'T-D6000', '12921003'],
  PROSTATE: ['41216001', 'T-92000'],
  RADIUS: ['62413002', 'T-12420'],
  RADIUSULNA: ['110535000', 'T-12403'],
  RIB: ['113197003', 'T-11300'],
  SCAPULA: ['79601000', 'T-12280'],
  SHOULDER: ['16982005', 'T-D2220'],
  SIJOINT: ['39723000', 'T-15680'],
  SKULL: ['89546000', 'T-11100'],
  SPINE: ['421060004', 'T-D04FF'],
  SPLEEN: ['78961009', 'T-C3000'],
  SSPINE: ['54735007', 'T-11AD0'],
  STERNUM: ['56873002', 'T-11210'],
  STOMACH: ['69695003', 'T-57000'],
  THIGH: ['68367000', 'T-D9100'],
  THUMB: ['76505004', 'T-D8810'],
  THYROID: ['69748006', 'T-B6000'],
  TIBIA: ['12611008', 'T-12740'],
  TIBIAFIBULA: ['110536004', 'T-12701'],
  TLSPINE: ['1217256009', 'T-D00F8', '297172009'],
  TMJ: ['53620006', 'T-15290'],
  TOE: ['29707007', 'T-D9800'],
  TSPINE: ['122495006', 'T-11502'],
  ULNA: ['23416004', 'T-12430'],
  UPPERARM: ['40983000', 'T-D8200'],
  UPPERLIMB: ['53120007', 'T-D8000'],
  UTERUS: ['35039007', 'T-83000'],
  WHOLEBODY: ['38266002', 'T-D0010'],
  WRIST: ['74670003', 'T-15460'],
  ZYGOMA: ['13881006', 'T-11166'],
};

/** Regions that one value of BodyPartExamined names; none when it is in no list. */
export function regionsOf(bodyPart: string): ReadonlySet<string> {
  const exact = BY_WORD.get(bodyPart.toUpperCase().replaceAll(/[\s_-]/g, ''));
  return exact ?? regionsInText(bodyPart);
}

/** Regions of a SNOMED CT or SRT code; none when it is in no list. */
export function regionsOfCode(code: string): ReadonlySet<string> {
  const word = WORD_BY_CODE.get(code);
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

const WORD_BY_CODE: ReadonlyMap<string, string> = new Map(
  Object.entries(CODES).flatMap(([word, codes]) => codes.map((code) => [code, word] as const)),
);
