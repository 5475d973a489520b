"""What the service finds on labelled news, beside its peers on the same articles.

``python -m bench.quality`` prints one table a data set: copied or not, recall of each label, the kinds that the service
gives, clusters and stories. Labels by people, by reading and silver ones stand apart. Nothing is tuned here.
"""
