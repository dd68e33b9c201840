package transcript

// Kind is what the words of a reply mean: "relay-denied", "auth-failed",
// "starttls-required", … The table of phrases is in this file.
type Kind string
