"""Documents -> sentences -> vocabulary -> token store (paper sections 3.2 and 4.4)."""
