package ndr

// traceFamilies are logs, dialogues and program errors. The readers name the
// program in Case.Format.
var traceFamilies = []family{
	{format: "queue", nature: NatureLog, sniff: sniffQueue, read: readQueue},
	{format: "log", nature: NatureLog, sniff: sniffLog, read: readLog},
	{format: "powermta-log", nature: NatureLog, sniff: sniffPMTA, read: readPMTA},
	{format: "spoken-log", nature: NatureLog, sniff: sniffSpoken, read: readSpoken},
	{format: "esmtp", nature: NatureDialogue, sniff: sniffEsmtp, read: readEsmtp},
	{format: "ssmtp-log", nature: NatureLog, sniff: sniffSsmtp, read: readSsmtp},
	{format: "dialogue", nature: NatureDialogue, sniff: sniffDialogue, read: readDialogue},
	{format: "program-error", nature: NatureError, sniff: sniffError, read: readError},
}
