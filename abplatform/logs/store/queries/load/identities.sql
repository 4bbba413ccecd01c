-- What data_version is made of, each once: identity.
SELECT identity FROM segments
UNION
SELECT identity FROM corrections
ORDER BY identity;
