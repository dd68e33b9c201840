package ndr

// reportFamilies are the reports: DSNs and NDRs.
var reportFamilies = []family{}
