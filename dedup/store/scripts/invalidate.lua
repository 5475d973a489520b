-- The boilerplate of these texts changed: everything verified with them is verified again. ARGV: texts.
refuse_if_full()
for i = 1, #ARGV do invalidate(ARGV[i]) end
return #ARGV
