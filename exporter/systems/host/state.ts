/** missing: there is no such folder. late: the file system does not answer. */
export const folderStates = ['ok', 'read_only', 'missing', 'denied', 'late', 'unknown'] as const;
export type FolderState = (typeof folderStates)[number];

export const fillingStates = ['filling', 'steady', 'unknown'] as const;

/** stopped: by a signal. zombie: ended, and its parent has not taken note. */
export const processStates = ['running', 'stopped', 'zombie', 'gone', 'unknown'] as const;
export type ProcessState = (typeof processStates)[number];

export const filesStates = ['known', 'denied', 'gone', 'unknown'] as const;
export type FilesState = (typeof filesStates)[number];
